import { join } from "node:path";
import t, { type Test } from "tap";
import { systemClock } from "../../../core/runtime/clock.js";
import { createHttpClient } from "../../../core/runtime/http.js";
import { ProcessDriver } from "../../../sidecar/models/drivers/process.js";
import { defineServer, joinDefinitions } from "../../../sidecar/models/managed-definitions.js";
import { ModelServer } from "../../../sidecar/models/server.js";
import { command, configOf, folderOf, isAlive, keepLog, linesOf, until } from "./support.js";

async function serverHeldBy(t: Test, holders: Set<string>, onDrain: () => void = () => {}) {
  const starts = join(folderOf(t), "starts");
  const config = configOf({ discovery: { process: [{ name: "m", command: command("--starts", starts) }] } });
  const [entry] = config.discovery.process;
  const [model] = joinDefinitions({ config, deployments: [], onDemand: [], taken: new Set() });
  const { logger } = keepLog();
  const http = createHttpClient();
  const dataDir = join(folderOf(t), "data");
  const server = new ModelServer({
    definition: defineServer(model!, "process", config),
    driver: new ProcessDriver({ name: "m", entry: entry!, dataDir, clock: systemClock, logger }),
    rules: () => ({
      startable: true,
      startTimeoutMs: 20_000,
      retryAttempts: 0,
      probeIntervalMs: 100,
      recheckIntervalMs: 100,
    }),
    clock: systemClock,
    http,
    logger,
    onChange: () => {},
    isHeld: () => holders.size > 0,
    onDrain,
  });
  // As in the sidecar, whose sockets keep it alive: the clock's timers do not.
  const alive = setInterval(() => {}, 1_000);
  t.teardown(async () => {
    clearInterval(alive);
    await server.stop(Date.now() + 1_000);
    await http.close();
  });
  await server.begin();
  await server.ensureReady(20_000);
  return { server, pids: () => linesOf(starts).map(Number) };
}

t.test("a server that is held drains until its last lease ends, then it is stopped", async (t) => {
  const holders = new Set(["task 1"]);
  const { server, pids } = await serverHeldBy(t, holders);
  server.drain();
  t.equal(server.entry.state, "draining");
  await fetch(`${server.entry.url}/healthz`);
  t.ok(isAlive(pids()[0]!), "it goes on while it is held");
  holders.clear();
  server.leasesEnded();
  await until(() => server.entry.state === "absent", "its end");
  t.notOk(isAlive(pids()[0]!));
});

t.test("a request that meets a server which is being ended gets the next one", async (t) => {
  const holders = new Set(["task 1"]);
  const { server, pids } = await serverHeldBy(t, holders);
  server.drain();
  holders.clear();
  server.leasesEnded();
  const waiting = server.ensureReady(20_000);
  t.match(await waiting, { state: "ready" });
  t.equal(pids().length, 2);
  t.notOk(isAlive(pids()[0]!));
});

t.test("whoever waits for a draining server calls its stop off, whether or not he holds a lease", async (t) => {
  const holders = new Set(["task 1"]);
  const { server, pids } = await serverHeldBy(t, holders);
  server.drain();
  const waiting = server.ensureReady(20_000);
  holders.clear();
  server.leasesEnded();
  t.match(await waiting, { state: "ready" });
  t.equal(pids().length, 1);
});

t.test("a bounded stop ends a server at once when nothing holds it, and says so of one that is down", async (t) => {
  const { server, pids } = await serverHeldBy(t, new Set());
  t.equal(await server.stopWhenIdle(0), "stopped");
  t.equal(server.entry.state, "absent");
  t.notOk(isAlive(pids()[0]!));
  t.equal(await server.stopWhenIdle(0), "stopped");
});

t.test("a bounded stop waits for the last hold's end, and requests go on until then", async (t) => {
  const holders = new Set(["task 1"]);
  const { server, pids } = await serverHeldBy(t, holders);
  const stopping = server.stopWhenIdle(20_000);
  t.match(await server.ensureReady(1_000), { state: "ready" });
  holders.clear();
  server.leasesEnded();
  t.equal(await stopping, "stopped");
  t.notOk(isAlive(pids()[0]!));
});

t.test("a bounded stop of a held server leaves it as it was", async (t) => {
  const { server, pids } = await serverHeldBy(t, new Set(["task 1"]));
  t.equal(await server.stopWhenIdle(50), "held");
  t.equal(server.entry.state, "ready");
  t.ok(isAlive(pids()[0]!));
});

t.test("a bounded stop that no proxy acknowledges is called off at its bound", async (t) => {
  const holders = new Set<string>();
  const { server, pids } = await serverHeldBy(t, holders, () => holders.add("a proxy"));
  t.equal(await server.stopWhenIdle(50), "held");
  t.equal(server.entry.state, "ready");
  t.ok(isAlive(pids()[0]!));
});
