import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import t, { type Test } from "tap";
import type { ModelEntry } from "../../../core/contract/models.js";
import { systemClock } from "../../../core/runtime/clock.js";
import { createHttpClient } from "../../../core/runtime/http.js";
import { createModelVersions, versionOf } from "../../../sidecar/cache/model-versions.js";
import { GAZETTEER, oneModel } from "../api/app-rig.js";

/** A model server whose description a test can change or hold back, and a clock it can move. */
async function startRig(t: Test) {
  const state = { info: "one", asked: 0, elapsedMs: 0 };
  const held: (() => void)[] = [];
  let isHolding = false;
  const server = createServer((_req, res) => {
    state.asked += 1;
    const { info } = state;
    if (isHolding) held.push(() => res.end(info));
    else if (info === "broken") res.writeHead(500).end();
    else res.end(info);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const http = createHttpClient();
  t.teardown(async () => {
    await http.close();
    server.close();
    server.closeAllConnections();
  });
  const models = oneModel();
  models.change({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
  const clock = { ...systemClock, elapsed: () => state.elapsedMs };
  const versions = createModelVersions(models.catalogue, http, clock);
  const hold = () => {
    isHolding = true;
  };
  const letGo = () => {
    isHolding = false;
    for (const each of held.splice(0)) each();
  };
  return { state, models, versions, hold, letGo };
}

t.test("a version is asked for once in half a minute, and anew after a training", async (t) => {
  const { state, versions } = await startRig(t);
  const first = await versions.current("gazetteer", 5_000);
  t.match(first, /^[0-9a-f]{64}$/);
  state.info = "two";
  state.elapsedMs = 29_999;
  t.equal(await versions.current("gazetteer", 5_000), first);
  state.elapsedMs = 30_000;
  const second = await versions.current("gazetteer", 5_000);
  t.not(second, first);
  state.info = "three";
  versions.forget("gazetteer");
  t.not(await versions.current("gazetteer", 5_000), second);
  t.equal(state.asked, 3);
});

t.test("a model that does not run, or whose server fails or is silent, has no version", async (t) => {
  const { state, versions, models, hold, letGo } = await startRig(t);
  t.equal(await versions.current("unknown", 5_000), null);
  models.change({ state: "draining" });
  t.equal(await versions.current("gazetteer", 5_000), null);
  models.change({ state: "ready" });
  state.info = "broken";
  t.equal(await versions.current("gazetteer", 5_000), null);
  t.equal(await versions.current("gazetteer", 5_000), null);
  t.equal(state.asked, 1, "it is left alone for a while");
  state.info = "one";
  state.elapsedMs = 6_000;
  hold();
  t.equal(await versions.current("gazetteer", 20), null, "nobody waits longer than told");
  const waiting = versions.current("gazetteer", 5_000);
  letGo();
  t.not(await waiting, null);
  t.equal(state.asked, 2, "one question for all who wait");
});

t.test("an answer that was on its way when the model changed does not count", async (t) => {
  const { versions, hold, letGo } = await startRig(t);
  hold();
  const waiting = versions.current("gazetteer", 5_000);
  versions.forget("gazetteer");
  letGo();
  t.equal(await waiting, null);
  t.not(await versions.current("gazetteer", 5_000), null);
});

t.test("a version is confirmed by the server itself, whatever it said a moment ago", async (t) => {
  const { state, versions, models } = await startRig(t);
  const first = await versions.current("gazetteer", 5_000);
  t.equal(await versions.confirmed("gazetteer", 5_000), first);
  state.info = "two";
  t.equal(await versions.current("gazetteer", 5_000), first, "believed for half a minute");
  t.not(await versions.confirmed("gazetteer", 5_000), first);
  state.info = "broken";
  t.equal(await versions.confirmed("gazetteer", 5_000), null);
  models.change({ state: "unreachable" });
  t.equal(await versions.confirmed("gazetteer", 5_000), null);
});

t.test("the server's identity is part of the version; a process of ours may move to another port", async (t) => {
  const of = (change: Partial<ModelEntry>) => versionOf({ ...GAZETTEER, ...change }, "info");
  t.not(of({ modelUri: "a" }), of({ modelUri: "b" }));
  t.not(of({ url: "http://a" }), of({ url: "http://b" }));
  t.equal(of({ source: "process", url: "http://a:1" }), of({ source: "process", url: "http://a:2" }));
});
