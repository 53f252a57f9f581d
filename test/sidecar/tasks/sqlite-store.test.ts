import Database from "better-sqlite3";
import t from "tap";
import { armFailpoints } from "../../../core/runtime/failpoints.js";
import { sampleAnswer, sampleTask, succeeded } from "../../contract/task-samples.js";
import { testTaskStore } from "../../contract/task-store.js";
import { openRig } from "./store-rig.js";

testTaskStore(t, async (t, bounds) => (await openRig(t, bounds === undefined ? {} : { bounds })).store);

t.test("what a crash left under way is found at the next start, with its payload", async (t) => {
  const { store, dataDir } = await openRig(t);
  const [first, second] = [sampleTask(), sampleTask()];
  await Promise.all([store.insert(first), store.insert(second), store.insert(sampleTask())]);
  await store.claim("gazetteer", ["interactive"], 0);
  await store.claim("gazetteer", ["interactive"], 0);
  await store.markRunning(second.uuid, 1, "run", sampleAnswer());
  await store.close();
  const again = await openRig(t, { dataDir });
  t.same(
    again.store.unfinished().map(({ task, payload }) => [task.uuid, task.status, payload]),
    [
      [first.uuid, "scheduled", first.payload],
      [second.uuid, "running", second.payload],
    ],
  );
});

t.test("a row whose headers are damaged is read like any other, without them", async (t) => {
  const { store, file } = await openRig(t);
  const damaged = sampleTask();
  await store.insert(damaged);
  await store.claim("gazetteer", ["interactive"], 0);
  const db = new Database(file);
  t.teardown(() => db.close());
  for (const text of ["", '["half', "{}", "[1]"]) {
    db.prepare("UPDATE tasks SET headers = ?").run(text);
    t.match(store.unfinished(), [{ task: { uuid: damaged.uuid, headers: null }, payload: damaged.payload }]);
    t.match(store.list({ limit: 1 }).tasks, [{ uuid: damaged.uuid, headers: null }]);
  }
});

t.test("the payload goes when the task is final, and a blob's file with it", async (t) => {
  const { store, blobs, file } = await openRig(t);
  const big = Buffer.alloc(100_000, "note ");
  const limits = { maxBytes: 1e6, idleTimeoutMs: 1_000 };
  const payload = await blobs.write(
    "payload",
    (async function* () {
      yield big;
    })(),
    limits,
  );
  if (payload.kind !== "blob") throw new Error("it should be a blob");
  const task = sampleTask({ payload });
  await store.insert(task);
  await store.insert(sampleTask());
  t.equal(store.namesBlob(payload.key), true);
  await store.claim("gazetteer", ["interactive"], 0);
  await store.finish(task.uuid, 1, succeeded());
  t.equal(store.namesBlob(payload.key), false);
  const other = await store.claim("gazetteer", ["interactive"], 0);
  await store.finish(other!.task.uuid, 1, succeeded());
  const db = new Database(file, { readonly: true });
  t.teardown(() => db.close());
  t.equal(db.prepare("SELECT count(*) FROM inline_payloads").pluck().get(), 0);
  await t.rejects(blobs.open(payload), { code: "RESULT_DAMAGED" }, "nothing is there any more");
});

t.test("a commit that fails rejects its whole batch, and the store heals by itself", async (t) => {
  armFailpoints("writer.before_commit=throw:ENOSPC@2");
  t.teardown(() => armFailpoints(null));
  const { store } = await openRig(t);
  const kept = sampleTask();
  await store.insert(kept);
  const lost = [sampleTask(), sampleTask(), sampleTask()];
  const settled = await Promise.allSettled(lost.map((task) => store.insert(task)));
  t.match(settled[0], { status: "rejected", reason: { code: "DISK_FULL" } });
  for (const [index, { status }] of settled.entries()) {
    t.equal(store.get(lost[index]!.uuid) !== null, status === "fulfilled", "what was refused is not there");
  }
  await store.insert(sampleTask());
  t.ok(store.get(kept.uuid));
});

t.test("a call that fails in a batch fails alone", async (t) => {
  const { store, file } = await openRig(t);
  await store.insert(sampleTask());
  const other = new Database(file);
  t.teardown(() => other.close());
  other.exec(
    "CREATE TRIGGER broken BEFORE INSERT ON tasks WHEN new.model = 'broken' BEGIN SELECT RAISE(ABORT, 'no'); END",
  );
  const settled = await Promise.allSettled(["a", "broken", "b"].map((model) => store.insert(sampleTask({ model }))));
  t.same(
    settled.map(({ status }) => status),
    ["fulfilled", "rejected", "fulfilled"],
  );
  t.match(settled[1], { reason: { code: "STORE_FAILED" } });
  t.equal(store.countWaiting().tasks, 3);
});

t.test("a dead writer rejects what is pending and says so", async (t) => {
  armFailpoints("writer.before_answer=throw:EIO@2");
  t.teardown(() => armFailpoints(null));
  let tell = (_error: Error) => {};
  const died = new Promise<Error>((resolve) => {
    tell = resolve;
  });
  const { store } = await openRig(t, { onDeath: tell });
  await store.insert(sampleTask());
  const pending = sampleTask();
  await t.rejects(store.insert(pending), { code: "STORE_FAILED" });
  t.match(await died, { code: "STORE_FAILED" });
  await t.rejects(store.insert(sampleTask()), { code: "STORE_FAILED" });
  t.ok(store.get(pending.uuid), "it was durable: the caller finds it when it asks again");
});

t.test("a closed store refuses and closes once", async (t) => {
  const { store } = await openRig(t);
  const written = store.insert(sampleTask());
  await Promise.all([store.close(), store.close()]);
  t.match(await written, { replayed: false }, "what was under way is written");
  await t.rejects(store.insert(sampleTask()), { code: "SHUTTING_DOWN" });
});
