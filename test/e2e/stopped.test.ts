/** Stopped is not dead: SIGSTOP past every patience, then SIGCONT. Nothing is lost, nothing ends twice, and there are never two owners. */
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import t, { type Test } from "tap";
import { ROUTES_HEARTBEAT_MS } from "../../core/contract/internal-api.js";
import { runSluice } from "../cli/programs/run-sluice.js";
import { type RunningGazetteer, startGazetteer } from "../helpers/gazetteer.js";
import { type RunningSluice, startSluice } from "../helpers/sluice.js";

const IMPATIENT = fileURLToPath(new URL("./programs/impatient-serve.js", import.meta.url));
/** Beyond what a proxy waits for a sign of life on its route stream. */
const PAST_THE_STREAM_MS = 3 * ROUTES_HEARTBEAT_MS + 1_500;

function configFor(server: RunningGazetteer) {
  return { discovery: { static: [{ name: "m", url: server.url, concurrency: 4 }], docker: { enabled: false } } };
}

function heldBulk({ url }: RunningSluice, id: string, delayMs: number): Promise<Response> {
  const headers = { "content-type": "application/json", "x-misbehave": `delay=${delayMs}`, "x-request-id": id };
  return fetch(`${url}/models/m/process_bulk`, { method: "POST", headers, body: '["3 March 2021"]' });
}

function submit({ url }: RunningSluice, id: string): Promise<Response> {
  const headers = { "content-type": "text/plain", "x-request-id": id };
  return fetch(`${url}/models/m/tasks/process`, { method: "POST", headers, body: "3 March 2021" });
}

async function lightAndLive(t: Test, { url }: RunningSluice): Promise<void> {
  t.equal((await fetch(`${url}/livez`, { signal: AbortSignal.timeout(10_000) })).status, 200, "liveness answers");
  const light = { method: "POST", headers: { "content-type": "text/plain" }, body: "3 March 2021" };
  t.equal((await fetch(`${url}/models/m/process`, light)).status, 200, "light requests flow");
}

async function succeeded(t: Test, { url }: RunningSluice, answer: Response): Promise<void> {
  t.equal(answer.status, 200);
  const { uuid } = (await answer.json()) as { uuid: string };
  const final = (await (await fetch(`${url}/tasks/${uuid}?detail=true&wait=20`)).json()) as Record<string, unknown>;
  t.match(final, { status: "succeeded", attempts: 1 });
}

async function sentOnce(t: Test, server: RunningGazetteer, ids: readonly string[]): Promise<void> {
  const sent = await server.requests();
  for (const id of ids) t.equal(sent.filter(({ requestId }) => requestId === id).length, 1, `${id} was sent once`);
}

async function reached(server: RunningGazetteer, id: string): Promise<void> {
  while (!(await server.requests()).some(({ requestId }) => requestId === id)) await pause(20);
}

/** Stops a process until the answer is called, or the test is over. */
function stopProcess(t: Test, pid: number): () => void {
  process.kill(pid, "SIGSTOP");
  let isStopped = true;
  const go = () => {
    if (isStopped) process.kill(pid, "SIGCONT");
    isStopped = false;
  };
  t.teardown(go);
  return go;
}

async function refusedToo(t: Test, sluice: RunningSluice): Promise<void> {
  const { code, stderr } = await runSluice(["serve", "--data-dir", sluice.dataDir, "--port", "0"]);
  t.equal(code, 1, "a second serve does not take the folder");
  t.match(stderr, /is in use by/);
}

t.jobs = 2;

t.test("what was only stopped goes on where it was, and nobody else takes its folder meanwhile", async (t) => {
  const server = await startGazetteer(t);
  const sluice = await startSluice(t, { config: configFor(server) });
  const { sidecar, proxies } = sluice.pids();

  await t.test("the sidecar, past every patience", async (t) => {
    const held = heldBulk(sluice, "held", 500);
    await reached(server, "held");
    const go = stopProcess(t, sidecar);
    const late = submit(sluice, "late");
    await lightAndLive(t, sluice);
    await refusedToo(t, sluice);
    await pause(PAST_THE_STREAM_MS);
    await lightAndLive(t, sluice);
    go();
    t.equal((await held).status, 200, "the held caller has its answer");
    await succeeded(t, sluice, await late);
    await succeeded(t, sluice, await submit(sluice, "next"));
    await sentOnce(t, server, ["held", "late", "next"]);
    t.equal(sluice.pids().sidecar, sidecar, "it was not replaced");
  });

  await t.test("all of it", async (t) => {
    const goes = [sluice.pid, sidecar, ...proxies].map((pid) => stopProcess(t, pid));
    await refusedToo(t, sluice);
    for (const go of goes) go();
    await succeeded(t, sluice, await submit(sluice, "after"));
  });

  await t.test("the model server, in the middle of a call", async (t) => {
    const held = heldBulk(sluice, "stalled", 300);
    await reached(server, "stalled");
    const go = stopProcess(t, server.pid);
    await pause(1_500);
    go();
    t.equal((await held).status, 200);
    await sentOnce(t, server, ["stalled"]);
  });
});

t.test("a sidecar that hangs is replaced, one that was only slow is not", async (t) => {
  const server = await startGazetteer(t);
  const env = { SILENCE_MS: "4000" };
  const sluice = await startSluice(t, { config: configFor(server), program: IMPATIENT, env });
  const { sidecar } = sluice.pids();
  const wake = stopProcess(t, sidecar);
  await pause(2_000);
  wake();
  await succeeded(t, sluice, await submit(sluice, "slow"));
  t.equal(sluice.pids().sidecar, sidecar);

  const held = heldBulk(sluice, "held", 200);
  await reached(server, "held");
  const restarted = sluice.nextEvent("restarted", 20_000);
  process.kill(sidecar, "SIGSTOP");
  await restarted;
  t.not(sluice.pids().sidecar, sidecar);
  t.throws(() => process.kill(sidecar, 0), "the old one is gone before the new one begins");
  t.equal((await held).status, 200, "the held caller has its answer from the new one");
});
