/** Faults that last, or come right after a commit: nothing spins, and what is committed stays so. */
import { setTimeout as pause } from "node:timers/promises";
import t from "tap";
import { checkFolder } from "../../e2e/crash-matrix/checks.js";
import { startGazetteer } from "../../helpers/gazetteer.js";
import { openRig } from "../tasks/store-rig.js";
import { armed, newDataDir, startFaultRig } from "./rig.js";

const NOTE = Buffer.from("Seen on 3 March 2021");
const BIG_ANSWER = ["Content-Type", "text/plain", "X-Misbehave", "big=150000"];

t.test("claims that fail are made again after a pause, not as fast as they can", async (t) => {
  const server = await startGazetteer(t);
  const rig = await startFaultRig(await newDataDir(t), server);
  t.teardown(() => rig.stop());
  let uuid = "";
  const failed = await armed("claim.before_commit=throw:SQLITE_FULL", async () => {
    uuid = (await rig.submit(NOTE)).uuid;
    await pause(600);
  });
  // 600 ms are fifteen seconds of the scheduler's.
  t.ok(failed >= 2 && failed < 25, `${failed} claims failed`);
  t.equal((await rig.final(t, uuid)).status, "succeeded");
});

t.test("an end whose telling fails after its commit is written again, and keeps its result", async (t) => {
  const server = await startGazetteer(t);
  const dataDir = await newDataDir(t);
  const rig = await startFaultRig(dataDir, server);
  let uuid = "";
  const acted = await armed("finish.before_announce=throw:EIO@1", async () => {
    uuid = (await rig.submit(NOTE, { headers: BIG_ANSWER })).uuid;
    const detail = await rig.final(t, uuid);
    t.match(detail, { status: "succeeded", attempts: 1 });
    // The pause after which the write was tried again, twice over.
    await pause(100);
    const result = await rig.client.result(uuid);
    t.match(result, { status: 200, sha256: detail.result_sha256 });
  });
  t.equal(acted, 1);
  await rig.stop();
  await checkFolder(t, dataDir);
});

t.test("a listener that throws undoes nothing and keeps nobody else from being told", async (t) => {
  const { store } = await openRig(t);
  const told: string[] = [];
  store.onChange(() => {
    throw new Error("a listener's own fault");
  });
  store.onChange((task) => told.push(task.status));
  const claimed = await submitAndClaim(store);
  const finished = await store.finish(claimed.task.uuid, claimed.task.attempt, {
    status: "succeeded",
    reason: null,
    errorMessage: null,
    answer: null,
    finishedAtMs: Date.now(),
  });
  t.ok(finished);
  t.same(told, ["pending", "scheduled", "succeeded"]);
});

async function submitAndClaim(store: Awaited<ReturnType<typeof openRig>>["store"]) {
  await store.insert({
    uuid: "00000000-0000-4000-8000-000000000001",
    model: "m",
    task: "process",
    method: "POST",
    path: "/process",
    headers: [],
    class: "batch",
    priority: 5,
    tenant: null,
    mode: "task",
    source: "ip=127.0.0.1; ua=test",
    requestId: "r",
    forceTrackingId: false,
    createdAtMs: Date.now(),
    deadlineAtMs: null,
    idempotencyKey: null,
    callback: null,
    payload: { kind: "inline", bytes: NOTE, sha256: "0" },
  });
  return (await store.claim("m", ["batch"], Date.now()))!;
}
