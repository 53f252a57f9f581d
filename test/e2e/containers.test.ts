/** Models on demand as real containers, through the public API: one start for a crowd, stops under traffic, trouble with Docker. */
import { setTimeout as pause } from "node:timers/promises";
import t from "tap";
import { dockerSkipReason, startDocker, type TestDocker } from "../helpers/docker.js";
import { requireOrSkip } from "../helpers/services.js";
import { type RunningSluice, startSluice } from "../helpers/sluice.js";
import { CONTAINER_NETWORK, containerConfig, createOnDemand } from "./container-rig.js";
import { runReapRounds } from "./reap-rounds.js";

const CROWD = 200;
const ROUNDS = 6;
const HEALS_WITHIN_MS = 40_000;
const NOTE = "Seen on 3 March 2021 by Dr Khan, tel 020 7946 0958";

t.test("models on demand in containers", async (t) => {
  if (!requireOrSkip(t, "docker", await dockerSkipReason())) return;
  const docker = await startDocker();
  t.teardown(() => docker.stop());
  await docker.createNetwork(CONTAINER_NETWORK);
  const sluice = await startSluice(t, { config: containerConfig(docker) });
  const { url } = sluice;
  await createOnDemand(url, "cold");

  await t.test(`${CROWD} requests arrive together for a cold model: one container, ${CROWD} answers`, async (t) => {
    const statuses = await Promise.all(Array.from({ length: CROWD }, () => annotate(url, "cold")));
    t.strictSame(new Set(statuses), new Set([200]));
    t.equal(statuses.length, CROWD);
    t.equal((await containersOf(docker, "cold")).length, 1);
  });

  await t.test("a stop with requests around it loses none", async (t) => {
    const seed = Date.now() % 1_000_000;
    const result = await runReapRounds({ url, model: "cold", rounds: ROUNDS, seed, requests: 12, spreadMs: 60 });
    t.strictSame(result.lost, [], `seed ${seed}`);
    t.equal(result.answered, ROUNDS * 12);
    t.equal(result.stopped + result.calledOff, ROUNDS);
  });

  await t.test("a container that is killed is started again by the next request", async (t) => {
    t.equal(await annotate(url, "cold"), 200);
    const [container] = await containersOf(docker, "cold");
    await docker.client.getContainer(container!.Id).kill();
    t.equal(await healed(url, "cold"), 200);
    t.equal((await containersOf(docker, "cold")).length, 1);
  });

  await t.test("a container that is removed by hand is started again by the next request", async (t) => {
    const [container] = await containersOf(docker, "cold");
    await docker.client.getContainer(container!.Id).remove({ force: true });
    t.equal(await healed(url, "cold"), 200);
  });

  await t.test("a paused container answers again when it goes on", async (t) => {
    const [row] = await containersOf(docker, "cold");
    const container = docker.client.getContainer(row!.Id);
    await container.pause();
    const waiting = annotate(url, "cold");
    await pause(500);
    await container.unpause();
    t.equal(await waiting, 200, "the request that met it waited");
    t.equal(await annotate(url, "cold"), 200);
  });

  await t.test("the daemon is killed and comes back: what runs answers, and what is cold starts again", async (t) => {
    await createOnDemand(url, "other");
    await docker.kill();
    t.equal(await live(sluice), 200, "alive without a daemon");
    const refused = await fetch(`${url}/models/other/process`, {
      method: "POST",
      headers: { "content-type": "text/plain" },
      body: NOTE,
      signal: AbortSignal.timeout(60_000),
    });
    t.equal(refused.status, 503, "a cold start needs the daemon");
    t.match(await refused.json(), { source: "sluice", error: { code: "MODEL_START_FAILED" } });
    await docker.start();
    t.equal(await healed(url, "other"), 200);
    t.equal(await healed(url, "cold"), 200);
    t.equal((await containersOf(docker, "other")).length, 1);
    t.equal((await containersOf(docker, "cold")).length, 1);
  });

  await t.test("a restart of Sluice finds its containers again", async (t) => {
    const [before] = await containersOf(docker, "cold");
    process.kill(sluice.pids().sidecar, "SIGKILL");
    await sluice.nextEvent("restarted");
    t.equal(await annotate(url, "cold"), 200);
    t.equal((await containersOf(docker, "cold"))[0]!.Id, before!.Id, "the same container");
  });

  await t.test("DELETE removes a deployment with its container", async (t) => {
    const deployed = await fetch(`${url}/models/by-hand`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ model_uri: "models:/by-hand/1", tracking_id: null, ttl: null }),
    });
    t.match(await deployed.json(), { container_name: "by-hand", model_uri: "models:/by-hand/1" });
    t.equal(await annotate(url, "by-hand"), 200);
    const removed = await fetch(`${url}/models/by-hand?force=false`, { method: "DELETE" });
    t.equal(removed.status, 204, await removed.text());
    t.strictSame(await containersOf(docker, "by-hand"), []);
  });
});

async function annotate(url: string, model: string): Promise<number> {
  const answer = await fetch(`${url}/models/${model}/process`, {
    method: "POST",
    headers: { "content-type": "text/plain" },
    body: NOTE,
    signal: AbortSignal.timeout(60_000),
  });
  await answer.arrayBuffer();
  return answer.status;
}

/** The status once it is 200, or the last one when it never was. */
async function healed(url: string, model: string): Promise<number> {
  const untilMs = performance.now() + HEALS_WITHIN_MS;
  for (;;) {
    const status = await annotate(url, model).catch(() => 0);
    if (status === 200 || performance.now() > untilMs) return status;
    await pause(200);
  }
}

async function live({ url }: RunningSluice): Promise<number> {
  return (await fetch(`${url}/livez`, { signal: AbortSignal.timeout(1_000) })).status;
}

async function containersOf(docker: TestDocker, name: string) {
  const rows = await docker.client.listContainers();
  return rows.filter(({ Names }) => Names.includes(`/${name}`));
}
