import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import t, { type Test } from "tap";
import { systemClock } from "../../../core/runtime/clock.js";
import { armFailpoints } from "../../../core/runtime/failpoints.js";
import { createReserve } from "../../../sidecar/tasks/reserve.js";
import { type RetentionOptions, removeDue, startRetention } from "../../../sidecar/tasks/retention.js";
import { mayGo, removalLimits } from "../../../sidecar/tasks/retention-rules.js";
import { sampleTask } from "../../contract/task-samples.js";
import { makeFolder } from "../../helpers/folder.js";
import { endedTask } from "./final-tasks.js";
import { openRig, quiet } from "./store-rig.js";

const NOW = 100_000_000;
const HOUR_MS = 3_600_000;

type Settings = ReturnType<RetentionOptions["settings"]>;

/** A store, and one look of retention's at a given time. */
async function rigOf(t: Test, options: Parameters<typeof openRig>[1] = {}) {
  const rig = await openRig(t, options);
  const look = (settings: Settings, nowMs = NOW) =>
    removeDue(optionsOf(rig, settings, nowMs), new AbortController().signal);
  return { ...rig, look };
}

function optionsOf(rig: Awaited<ReturnType<typeof openRig>>, settings: Settings, nowMs: number): RetentionOptions {
  return {
    store: rig.retention,
    blobs: rig.blobs,
    reserve: createReserve(rig.dataDir),
    settings: () => settings,
    clock: { ...systemClock, now: () => nowMs },
    logger: quiet,
    observer: { removed() {} },
  };
}

/** The counters against what they count. */
function checkTotals(t: Test, { file, retention }: Awaited<ReturnType<typeof openRig>>) {
  const db = new Database(file, { readonly: true });
  const counted = db
    .prepare(
      "SELECT count(*) AS tasks, ifnull(sum(answer_size), 0) AS bytes FROM tasks WHERE status IN ('succeeded', 'failed')",
    )
    .get();
  t.same(retention.totals(), counted, "the counters agree with the rows");
  for (const table of ["inline_answers", "inline_payloads", "attempts", "callbacks", "cached_answers"]) {
    const orphans = db.prepare(`SELECT count(*) FROM ${table} WHERE seq NOT IN (SELECT seq FROM tasks)`).pluck().get();
    t.equal(orphans, 0, `${table} holds nothing of tasks that are gone`);
  }
  db.close();
}

t.test("age and size decide, and what has just ended stays", async (t) => {
  const both = removalLimits({ retentionMs: 100_000, maxBytes: 50 }, NOW);
  t.equal(mayGo(NOW - 100_000, 0, both), true, "old enough");
  t.equal(mayGo(NOW - 99_999, 50, both), false, "young, and there is room");
  t.equal(mayGo(NOW - 99_999, 51, both), true, "young, and there is none");
  t.equal(mayGo(NOW - 59_999, 51, both), false, "its result may still be on its way");
  const none = removalLimits({ retentionMs: null, maxBytes: null }, NOW);
  t.equal(mayGo(0, Number.MAX_SAFE_INTEGER, none), false);
});

t.test("tasks past their time go with all that hangs on them; younger and waiting ones stay", async (t) => {
  const rig = await rigOf(t);
  const old = await endedTask(rig, NOW - HOUR_MS, { resultBytes: 100_000, task: { idempotencyKey: "k", model: "m" } });
  const small = await endedTask(rig, NOW - HOUR_MS);
  const young = await endedTask(rig, NOW - HOUR_MS + 1, { resultBytes: 100_000 });
  const waiting = (await rig.store.insert(sampleTask({ createdAtMs: 0 }))).task;
  const scheduled = (await rig.store.insert(sampleTask({ createdAtMs: 0, model: "busy" }))).task;
  await rig.store.claim("busy", ["interactive"], 0);
  t.same(rig.retention.totals(), { tasks: 3, bytes: 200_100 });

  t.equal(await rig.look({ retentionMs: HOUR_MS, maxBytes: null }), 2);
  for (const { uuid } of [old, small]) t.equal(rig.store.get(uuid), null);
  for (const { uuid } of [young, waiting, scheduled]) t.not(rig.store.get(uuid), null);
  t.same(readdirSync(join(rig.dataDir, "results")), [young.key!.slice("results/".length)]);
  t.same(rig.retention.totals(), { tasks: 1, bytes: 100_000 });
  checkTotals(t, rig);
  const again = await rig.store.insert(sampleTask({ idempotencyKey: "k", model: "m" }));
  t.equal(again.replayed, false, "an Idempotency-Key lives as long as its task");
  t.equal(await rig.look({ retentionMs: null, maxBytes: null }), 0, "null keeps for ever");
});

t.test("above the size the oldest go, no more of them than needed, and never what has just ended", async (t) => {
  const rig = await rigOf(t);
  const tasks = [];
  for (let age = 5; age > 0; age--) tasks.push(await endedTask(rig, NOW - age * HOUR_MS, { resultBytes: 100_000 }));
  const fresh = await endedTask(rig, NOW - 1_000, { resultBytes: 300_000 });
  t.equal(await rig.look({ retentionMs: null, maxBytes: 550_000 }), 3);
  t.same(
    tasks.map(({ uuid }) => rig.store.get(uuid) === null),
    [true, true, true, false, false],
  );
  t.equal(await rig.look({ retentionMs: null, maxBytes: 0 }), 2);
  t.not(rig.store.get(fresh.uuid), null);
  t.equal(readdirSync(join(rig.dataDir, "results")).length, 1);
  checkTotals(t, rig);
});

t.test("a task whose callback is owed stays until it was told, or given up", async (t) => {
  const rig = await rigOf(t);
  const callback = "http://127.0.0.1:1/hook";
  const owed = await endedTask(rig, 1, { task: { callback } });
  const told = await endedTask(rig, 2, { task: { callback } });
  const [first, second] = rig.callbacks.due("http://127.0.0.1:1", NOW, 10);
  t.same([first?.uuid, second?.uuid], [owed.uuid, told.uuid]);
  await rig.callbacks.settle(second!.seq, { state: "delivered" });
  t.equal(await rig.look({ retentionMs: 0, maxBytes: null }), 1);
  t.not(rig.store.get(owed.uuid), null);
  await rig.callbacks.settle(first!.seq, { state: "failed" });
  t.equal(await rig.look({ retentionMs: 0, maxBytes: null }), 1);
  checkTotals(t, rig);
});

t.test("a download that is under way ends as it began, though its task is removed meanwhile", async (t) => {
  const rig = await rigOf(t);
  const size = 8 * 2 ** 20;
  const { uuid, key } = await endedTask(rig, 1, { resultBytes: size });
  const stream = await rig.blobs.open(rig.store.get(uuid)!.answer!.body, { verify: true });
  const iterator = stream[Symbol.asyncIterator]();
  let read = (await iterator.next()).value.length;
  t.equal(await rig.look({ retentionMs: 0, maxBytes: null }), 1);
  t.notOk(existsSync(join(rig.dataDir, key!)));
  for (let next = await iterator.next(); !next.done; next = await iterator.next()) read += next.value.length;
  t.equal(read, size);
});

t.test("many old tasks go in small batches: a submission meanwhile waits for one of them at most", async (t) => {
  const rig = await rigOf(t);
  await rig.store.insert(sampleTask());
  const db = new Database(rig.file);
  db.exec(`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
    INSERT INTO tasks (uuid, model, task, method, path, headers, class, priority, mode, source, request_id, force_tracking_id,
      created_at_ms, payload_size, payload_sha256, finished_at_ms)
    SELECT 'old-' || i, 'm', 'process', 'POST', '/process', '[]', 'interactive', 2, 'task', '', '', 0, 0, 0, '', i FROM n;
    UPDATE tasks SET status = 'failed' WHERE uuid LIKE 'old-%'`);
  db.close();
  let batches = 0;
  const options = {
    ...optionsOf(rig, { retentionMs: 0, maxBytes: null }, NOW),
    observer: {
      removed(tasks: number) {
        batches += 1;
        t.ok(tasks <= 50);
      },
    },
  };
  const removing = removeDue(options, new AbortController().signal);
  let isOver = false;
  void removing.then(() => {
    isOver = true;
  });
  let submitted = 0;
  for (; !isOver; submitted += 1) await rig.store.insert(sampleTask());
  t.equal(await removing, 2_000);
  t.ok(batches >= 40);
  t.ok(submitted >= 40, `${submitted} submissions came in between`);
  checkTotals(t, rig);
});

t.test("a look that is told to stop ends with its batch, and so does the owner", async (t) => {
  const rig = await rigOf(t);
  const stopping = new AbortController();
  await Promise.all(Array.from({ length: 80 }, (_, i) => endedTask(rig, i + 1)));
  const options = {
    ...optionsOf(rig, { retentionMs: 0, maxBytes: null }, NOW),
    observer: { removed: () => stopping.abort() },
  };
  t.equal(await removeDue(options, stopping.signal), 50);
  const { stop } = startRetention(options);
  await stop();
  t.equal(rig.retention.totals().tasks, 0, "its first look, at the start, took the rest");
});

for (const place of ["retention.before_commit", "writer.before_commit"]) {
  t.test(`a disk that fails at ${place} costs nothing: the next look removes what this one could not`, async (t) => {
    t.teardown(() => armFailpoints(null));
    const dataDir = makeFolder(t);
    const filled = await openRig(t, { dataDir });
    for (let i = 0; i < 3; i++) await endedTask(filled, i + 1, { resultBytes: 100_000 });
    await filled.store.close();
    armFailpoints(`${place}=throw:ENOSPC@1`);
    const rig = await rigOf(t, { dataDir });
    await t.rejects(rig.look({ retentionMs: 0, maxBytes: null }), { code: "DISK_FULL" });
    t.equal(readdirSync(join(dataDir, "results")).length, 3, "no file went without its row");
    t.equal(await rig.look({ retentionMs: 0, maxBytes: null }), 3);
    t.same(readdirSync(join(dataDir, "results")), []);
    checkTotals(t, rig);
  });
}
