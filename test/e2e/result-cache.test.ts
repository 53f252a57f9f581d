/** The result cache as a client meets it: real processes, real answers. */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import t, { type Test } from "tap";
import type { ConfigInput } from "../../config/schema.js";
import { startGazetteer } from "../helpers/gazetteer.js";
import { startSluice } from "../helpers/sluice.js";
import { startReceiver } from "../sidecar/callbacks/receiver.js";

const TEXT = "Seen on 3 March 2021 by Dr Khan";
const MAX_TRIES = 100;

async function startBoth(t: Test, results: ConfigInput["results"]) {
  const server = await startGazetteer(t);
  const sluice = await startSluice(t, {
    config: { discovery: { static: [{ name: "m", url: server.url }] }, results },
  });
  const send = async (texts: readonly string[], headers: Record<string, string> = {}) => {
    const answer = await fetch(`${sluice.url}/models/m/process_bulk`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify(texts),
    });
    const cache = answer.headers.get("sluice-cache");
    return { cache, status: answer.status, headers: answer.headers, text: await answer.text() };
  };
  /** An answer is kept a moment after it was given: asks until it is there. */
  const untilHit = async (texts: readonly string[], headers: Record<string, string> = {}) => {
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const answer = await send(texts, headers);
      if (answer.cache === "hit") return answer;
    }
    throw new Error("it never was a hit");
  };
  const processed = async () => (await server.requests()).filter(({ url }) => url.startsWith("/process_bulk")).length;
  return { server, sluice, send, untilHit, processed };
}

t.test("switched on", async (t) => {
  const { sluice, send, untilHit, processed } = await startBoth(t, { cache: { enabled: true } });

  t.test("a repeated request is answered from the stored answer, as a task of its own", async (t) => {
    const first = await send([TEXT]);
    t.same([first.status, first.cache], [200, null]);
    const hit = await untilHit([TEXT]);
    t.same([hit.status, hit.text], [200, first.text]);
    t.equal(hit.headers.get("content-type"), first.headers.get("content-type"));
    t.match(hit.headers.get("age"), /^\d+$/);
    const asked = await processed();
    const receiver = await startReceiver(t, [200]);
    const again = await send([TEXT], { "sluice-callback": receiver.url, prefer: "respond-async" });
    t.equal(again.status, 202);
    t.equal(await processed(), asked, "the model server was not asked");

    const uuid = again.headers.get("sluice-task-id");
    const detail = await (await fetch(`${sluice.url}/tasks/${uuid}?detail=true`)).json();
    t.match(detail, { status: "succeeded", attempts: 0, result_status: 200, model: "m", type: "process_bulk" });
    t.equal((detail as { result_sha256: string }).result_sha256, createHash("sha256").update(first.text).digest("hex"));
    t.equal(await (await fetch(`${sluice.url}/tasks/${uuid}?download=true`)).text(), first.text);
    await receiver.reached(1);
    t.match(JSON.parse(receiver.received[0]!.text), { uuid, status: "succeeded", result_status: 200 });

    t.equal((await send([`${TEXT}.`])).cache, null, "another body");
    t.equal((await send([TEXT], { authorization: "Bearer a" })).cache, null, "another's credentials");
    t.equal((await send([TEXT], { "x-sluice-tenant": "b" })).cache, null, "another tenant");
    for (const wish of ["no-cache", "no-store"]) {
      const before = await processed();
      t.equal((await send([TEXT], { "cache-control": wish })).cache, null, wish);
      t.equal(await processed(), before + 1, wish);
    }
    const metrics = await (await fetch(`${sluice.url}/metrics`)).text();
    t.match(metrics, /sluice_result_cache_total\{outcome="hit"\} \d/);
  });

  t.test("a large answer is kept too; damaged on the disk it is a miss", async (t) => {
    const texts = Array.from({ length: 400 }, (_, index) => `${TEXT}, note ${index}`);
    const first = await send(texts);
    t.ok(first.text.length > 65_536);
    t.ok((await untilHit(texts)).text === first.text);
    const folder = join(sluice.dataDir, "results");
    for (const name of readdirSync(folder)) {
      const bytes = readFileSync(join(folder, name));
      bytes[0] = 0x58;
      writeFileSync(join(folder, name), bytes);
    }
    const after = await send(texts);
    t.same([after.status, after.cache], [200, null]);
    t.ok(after.text === first.text);
  });

  t.test("what a model learned meanwhile is in the answer: after a training nothing old is given", async (t) => {
    const text = "Has brain fog";
    await untilHit([text]);
    const form = new FormData();
    const annotation = { id: 1, cui: "C1", start: 4, end: 13, value: "brain fog", validated: true, correct: true };
    const documents = [{ id: 1, name: "d", text, annotations: [annotation] }];
    form.append(
      "trainer_export",
      new Blob([JSON.stringify({ projects: [{ id: 1, name: "p", documents }] })]),
      "e.json",
    );
    const training = await fetch(`${sluice.url}/models/m/tasks/train_supervised`, { method: "POST", body: form });
    const { uuid } = (await training.json()) as { uuid: string };
    const end = await (await fetch(`${sluice.url}/tasks/${uuid}?wait=30&detail=true`)).json();
    t.match(end, { status: "succeeded" });
    const after = await send([text]);
    t.equal(after.cache, null);
    t.match(after.text, /brain fog/);
  });
});

t.test("switched off, as it is by default, every request is asked; and what is past its time is gone", async (t) => {
  const { sluice, send, processed } = await startBoth(t, { retention: "1s" });
  const uuids: (string | null)[] = [];
  for (let count = 1; count <= 3; count++) {
    const answer = await send([TEXT]);
    t.equal(answer.cache, null);
    t.equal(await processed(), count);
    uuids.push(answer.headers.get("sluice-task-id"));
  }
  const statusOf = async (uuid: string | null) => (await fetch(`${sluice.url}/tasks/${uuid}`)).status;
  for (const uuid of uuids) {
    const endMs = Date.now() + 30_000;
    while ((await statusOf(uuid)) !== 404 && Date.now() < endMs) await pause(200);
    t.equal(await statusOf(uuid), 404);
  }
});
