/** What every task store does, whatever it stands on: run it with a factory. */
import type { Test } from "tap";
import { TASK_MOVES, TASK_STATUSES, type TaskStatus } from "../../core/contract/tasks.js";
import type { TaskFilter, TaskRow, TaskStore } from "../../sidecar/tasks/store.js";
import { failed, inlineBody, sampleAnswer, sampleTask, succeeded } from "./task-samples.js";

export interface StoreBounds {
  maxTasks: number;
  maxBytes: number;
}

/** An empty store; `bounds` may be changed later. It is closed by whoever made it. */
export type StoreFactory = (t: Test, bounds?: StoreBounds) => Promise<TaskStore>;

const LANE = ["gazetteer", ["interactive"]] as const;

export function testTaskStore(t: Test, create: StoreFactory): void {
  testInsert(t, create);
  testOrder(t, create);
  testMoves(t, create);
  testDeadlines(t, create);
  testLists(t, create);
}

function testInsert(t: Test, create: StoreFactory): void {
  t.test("a task comes back as it was written", async (t) => {
    const store = await create(t);
    const task = sampleTask({ tenant: "ward-7", deadlineAtMs: 5_000, idempotencyKey: "k", forceTrackingId: true });
    const { payload, ...plain } = task;
    const { task: row, replayed } = await store.insert(task);
    t.equal(replayed, false);
    t.match(row, { ...plain, status: "pending", attempt: 0, reason: null, answer: null });
    t.same(store.get(task.uuid), row);
    t.equal(store.get("no-such-task"), null);
    const claim = await store.claim(...LANE, 2_000);
    t.same(claim?.payload, payload);
    t.match(claim?.task, { status: "scheduled", attempt: 1, startedAtMs: 2_000 });
  });

  t.test("an Idempotency-Key meets its older task, within one tenant, model and task", async (t) => {
    const store = await create(t);
    const first = sampleTask({ idempotencyKey: "key" });
    await store.insert(first);
    const again = await store.insert(sampleTask({ idempotencyKey: "key" }));
    t.match(again, { replayed: true, task: { uuid: first.uuid } });
    await t.rejects(store.insert(sampleTask({ idempotencyKey: "key", payload: inlineBody("other") })), {
      code: "IDEMPOTENCY_KEY_REUSED",
    });
    await t.rejects(store.insert(sampleTask({ idempotencyKey: "key", path: "/other" })), {
      code: "IDEMPOTENCY_KEY_REUSED",
    });
    for (const other of [{ tenant: "a" }, { model: "m" }, { task: "redact" }]) {
      t.match(await store.insert(sampleTask({ idempotencyKey: "key", ...other })), { replayed: false });
    }
    t.equal(store.countWaiting().tasks, 4);
    const both = sampleTask({ idempotencyKey: "race" });
    const raced = await Promise.all([store.insert(both), store.insert(sampleTask({ idempotencyKey: "race" }))]);
    t.same(
      raced.map(({ replayed }) => replayed),
      [false, true],
      "two at once are one task",
    );
  });

  t.test("the queue's bounds refuse what is over them, and only that", async (t) => {
    const store = await create(t, { maxTasks: 3, maxBytes: 20 });
    const body = { payload: inlineBody("12345678") };
    const settled = await Promise.allSettled([1, 2, 3].map(() => store.insert(sampleTask(body))));
    t.same(
      settled.map(({ status }) => status),
      ["fulfilled", "fulfilled", "rejected"],
      "the bytes are full; the one that fails fails alone",
    );
    t.match(settled[2], { reason: { code: "QUEUE_FULL", retryAfterMs: Number } });
    t.same(store.countWaiting(), { tasks: 2, bytes: 16 });
    await store.insert(sampleTask({ payload: inlineBody("") }));
    await t.rejects(store.insert(sampleTask({ payload: inlineBody("") })), { code: "QUEUE_FULL" });
    await store.claim(...LANE, 0);
    t.same(store.countWaiting(), { tasks: 2, bytes: 8 }, "what runs no longer counts");
    await store.insert(sampleTask({ payload: inlineBody("") }));
  });
}

function testOrder(t: Test, create: StoreFactory): void {
  t.test("the best due task is claimed: priority, then age, over the lanes asked for", async (t) => {
    const store = await create(t);
    const put = async (change: Parameters<typeof sampleTask>[0]) => (await store.insert(sampleTask(change))).task.uuid;
    const late = await put({ priority: 5 });
    const first = await put({ priority: 2 });
    const second = await put({ priority: 2 });
    const urgent = await put({ class: "batch", priority: 0 });
    const elsewhere = await put({ model: "other", priority: 0 });
    t.same(
      [urgent, first, second, late].map((uuid) => store.position(uuid)),
      [0, 0, 1, 2],
    );
    t.equal(await store.claim("gazetteer", [], 0), null);
    const claimed: (string | undefined)[] = [];
    for (let i = 0; i < 5; i++) {
      claimed.push((await store.claim("gazetteer", ["interactive", "batch"], 0))?.task.uuid);
    }
    t.same(claimed, [urgent, first, second, late, undefined]);
    t.equal(store.position(first), null);
    t.equal(store.position(elsewhere), 0);
    t.equal((await store.claim("other", ["interactive"], 0))?.task.uuid, elsewhere);
  });

  t.test("a task that went back waits for its time, keeps its age, and is counted", async (t) => {
    const store = await create(t);
    const { task } = await store.insert(sampleTask());
    await store.insert(sampleTask());
    await store.claim(...LANE, 100);
    t.equal(await store.requeue(task.uuid, 1, 5_000, { cause: "busy", note: "the trainer is busy" }), true);
    t.match(store.get(task.uuid), { status: "pending", notBeforeMs: 5_000, errorMessage: "the trainer is busy" });
    const line = { model: "gazetteer", class: "interactive", priority: 2, oldestMs: 1_000 };
    t.same(store.backlog(4_999), [{ ...line, due: 1, nextDueMs: 5_000 }]);
    t.same(store.backlog(5_000), [{ ...line, due: 2, nextDueMs: null }]);
    t.not((await store.claim(...LANE, 4_999))?.task.uuid, task.uuid);
    t.equal(await store.claim(...LANE, 4_999), null);
    const again = await store.claim(...LANE, 5_000);
    t.match(again?.task, { uuid: task.uuid, attempt: 2, startedAtMs: 100, errorMessage: null });
    t.same(
      store.attempts(task.uuid).map(({ attempt, outcome }) => [attempt, outcome]),
      [
        [1, "requeued"],
        [2, null],
      ],
    );
    t.same(store.depths(), [{ class: "interactive", status: "scheduled", tasks: 2 }]);
    t.match(store.attempts(task.uuid)[0], { cause: "busy", note: "the trainer is busy" });
  });

  t.test("each attempt says why it ended, briefly, and only the newest thousand are kept", async (t) => {
    const store = await create(t);
    const { task } = await store.insert(sampleTask());
    for (let attempt = 1; attempt <= 1_003; attempt++) {
      await store.claim(...LANE, attempt);
      await store.requeue(task.uuid, attempt, 0, { cause: "busy", note: "x".repeat(2_000) });
    }
    await store.claim(...LANE, 2_000);
    await store.finish(task.uuid, 1_004, failed("lost"));
    const kept = store.attempts(task.uuid);
    t.same([kept.length, kept[0]?.attempt, kept[0]?.note?.length], [1_001, 4, 500]);
    t.match(kept.at(-1), { attempt: 1_004, outcome: "lost", cause: null, note: "it did not work" });
  });

  t.test("a cancellation asked for is remembered by the running attempt alone, and can be taken back", async (t) => {
    const store = await create(t);
    const { task } = await store.insert(sampleTask());
    await store.claim(...LANE, 0);
    t.equal(await store.markCancelAsked(task.uuid, 1, 7), false, "it does not run yet");
    await store.markRunning(task.uuid, 1, "run", { ...sampleAnswer(), status: 202 });
    t.equal(await store.markCancelAsked(task.uuid, 2, 7), false, "another attempt");
    t.equal(store.get(task.uuid)?.cancelAskedAtMs, null);
    t.equal(await store.markCancelAsked(task.uuid, 1, 7), true);
    t.equal(store.get(task.uuid)?.cancelAskedAtMs, 7);
    t.equal(store.unfinished()[0]?.task.cancelAskedAtMs, 7);
    t.equal(await store.markCancelAsked(task.uuid, 1, null), true);
    t.equal(store.get(task.uuid)?.cancelAskedAtMs, null);
  });

  t.test("a clock that was set back does not make a pause longer than any pause is", async (t) => {
    const store = await create(t);
    const { task } = await store.insert(sampleTask());
    await store.claim(...LANE, 10_000_000);
    await store.requeue(task.uuid, 1, 10_005_000, null);
    t.match(store.backlog(10_000_000), [{ due: 0, nextDueMs: 10_005_000, oldestMs: null }]);
    t.match(store.backlog(9_405_000), [{ due: 0, nextDueMs: 10_005_000 }]);
    t.equal(await store.claim(...LANE, 9_405_000), null);
    t.match(store.backlog(9_404_999), [{ due: 1, nextDueMs: null, oldestMs: 1_000 }]);
    t.match((await store.claim(...LANE, 9_404_999))?.task, { uuid: task.uuid, attempt: 2 });
  });

  t.test("tenants of one line take turns, and positions say so", async (t) => {
    const store = await create(t);
    const put = async (tenant: string | null) => (await store.insert(sampleTask({ tenant }))).task.uuid;
    const flood: string[] = [];
    for (let each = 0; each < 6; each++) flood.push(await put("flood"));
    const single = await put("single");
    const nobody = await put(null);
    t.same(
      [...flood, single, nobody].map((uuid) => store.position(uuid)),
      [0, 3, 4, 5, 6, 7, 1, 2],
    );
    const claimed: (string | undefined)[] = [];
    for (let each = 0; each < 4; each++) claimed.push((await store.claim(...LANE, 0))?.task.uuid);
    t.same(claimed, [flood[0], single, nobody, flood[1]]);
  });

  t.test("whoever cancels gets its turns back", async (t) => {
    const store = await create(t);
    const put = async (tenant: string) => (await store.insert(sampleTask({ tenant }))).task.uuid;
    const regretted: string[] = [];
    for (let each = 0; each < 20; each++) regretted.push(await put("a"));
    for (const uuid of regretted) await store.failWaiting(uuid, failed("cancelled"));
    const others = [await put("b"), await put("b")];
    const again = await put("a");
    t.same(
      [...others, again].map((uuid) => store.position(uuid)),
      [0, 2, 1],
    );
  });

  t.test("ageing lifts the lower line beside the urgent one, and they take turns", async (t) => {
    const store = await create(t);
    const put = async (priority: number) => (await store.insert(sampleTask({ priority, createdAtMs: 0 }))).task.uuid;
    const urgent = [await put(2), await put(2), await put(2)];
    const low = [await put(5), await put(5)];
    const claim = async (nowMs: number) => (await store.claim(...LANE, nowMs))?.task.uuid;
    t.equal(await claim(179_999), urgent[0], "not yet");
    t.same(
      [await claim(180_000), await claim(180_000), await claim(180_000), await claim(180_000)],
      [low[0], urgent[1], low[1], urgent[2]],
    );
  });

  t.test("no task is claimed twice, however many claim at once", async (t) => {
    const store = await create(t);
    await Promise.all(Array.from({ length: 50 }, () => store.insert(sampleTask())));
    const claims = await Promise.all(Array.from({ length: 80 }, () => store.claim(...LANE, 0)));
    const uuids = claims.flatMap((claim) => (claim === null ? [] : [claim.task.uuid]));
    t.equal(uuids.length, 50);
    t.equal(new Set(uuids).size, 50);
  });
}

/** Brings a new task into a state and tells the attempt that holds it. */
async function bring(store: TaskStore, status: TaskStatus): Promise<TaskRow> {
  const model = `model-${status}-${Math.random()}`;
  const { task } = await store.insert(sampleTask({ model }));
  if (status !== "pending") await store.claim(model, ["interactive"], 0);
  if (status === "running") await store.markRunning(task.uuid, 1, "run-1", { ...sampleAnswer(), status: 202 });
  if (status === "succeeded") await store.finish(task.uuid, 1, succeeded());
  if (status === "failed") await store.finish(task.uuid, 1, failed());
  return store.get(task.uuid)!;
}

/** Every call that moves a task, by where it goes. `pending` has no attempt, so only a cancellation or a claim can move it. */
const MOVES: Readonly<Record<string, { to: TaskStatus; move: (store: TaskStore, task: TaskRow) => Promise<unknown> }>> =
  {
    claim: { to: "scheduled", move: (store, task) => store.claim(task.model, [task.class], 1e9) },
    markRunning: {
      to: "running",
      move: (store, task) => store.markRunning(task.uuid, task.attempt, "r", sampleAnswer()),
    },
    requeue: { to: "pending", move: (store, task) => store.requeue(task.uuid, task.attempt, 0, null) },
    succeed: { to: "succeeded", move: (store, task) => store.finish(task.uuid, task.attempt, succeeded()) },
    fail: { to: "failed", move: (store, task) => store.finish(task.uuid, task.attempt, failed()) },
    failWaiting: { to: "failed", move: (store, task) => store.failWaiting(task.uuid, failed("cancelled")) },
  };

function isAllowed(from: TaskStatus, name: string, to: TaskStatus): boolean {
  if (name === "failWaiting") return from === "pending";
  if (name === "fail" && from === "pending") return false;
  return (TASK_MOVES[from] as readonly TaskStatus[]).includes(to);
}

function testMoves(t: Test, create: StoreFactory): void {
  t.test("every move of the table is possible and every other one is refused", async (t) => {
    const store = await create(t);
    for (const from of TASK_STATUSES) {
      for (const [name, { to, move }] of Object.entries(MOVES)) {
        const before = await bring(store, from);
        const moved = await move(store, before);
        const after = store.get(before.uuid)!;
        if (isAllowed(from, name, to)) {
          t.ok(moved, `${name} moves ${from}`);
          t.equal(after.status, to);
        } else {
          t.notOk(moved, `${name} does not move ${from}`);
          t.same(after, before, "and changes nothing");
        }
      }
    }
  });

  t.test("a model is needed while one of its tasks waits or is under way", async (t) => {
    const store = await create(t);
    t.equal(store.needOf("gazetteer"), null);
    const { task } = await store.insert(sampleTask());
    t.equal(store.needOf("gazetteer"), "waiting");
    t.equal(store.needOf("another"), null);
    await store.claim(...LANE, 0);
    t.equal(store.needOf("gazetteer"), "under-way");
    await store.requeue(task.uuid, 1, 5_000, null);
    t.equal(store.needOf("gazetteer"), "waiting", "also for a time that has not come");
    await store.claim(...LANE, 5_000);
    await store.markRunning(task.uuid, 2, null, { ...sampleAnswer(), status: 202 });
    await store.insert(sampleTask());
    t.equal(store.needOf("gazetteer"), "under-way", "the accepted one, beside one that waits");
    await store.finish(task.uuid, 2, failed());
    t.equal(store.needOf("gazetteer"), "waiting");
  });

  t.test("an attempt that lost its fence can write nothing, and its late answer is recorded", async (t) => {
    const store = await create(t);
    const { task } = await store.insert(sampleTask());
    await store.claim(...LANE, 0);
    await store.requeue(task.uuid, 1, 0, null);
    await store.claim(...LANE, 0);
    t.equal(await store.finish(task.uuid, 1, succeeded(sampleAnswer("old"))), false);
    t.equal(await store.requeue(task.uuid, 1, 0, null), false);
    t.equal(await store.markRunning(task.uuid, 1, null, sampleAnswer()), false);
    t.match(store.get(task.uuid), { status: "scheduled", attempt: 2, answer: null });
    t.equal(await store.finish(task.uuid, 2, succeeded(sampleAnswer("new"))), true);
    t.equal(await store.finish(task.uuid, 2, failed()), false, "final once");
    t.same(store.get(task.uuid)?.answer?.body, inlineBody("new"));
    t.same(
      store.attempts(task.uuid).map(({ attempt, outcome }) => [attempt, outcome]),
      [
        [1, "requeued"],
        [2, "succeeded"],
        [1, "refused"],
        [2, "refused"],
      ],
    );
    t.match(store.attempts(task.uuid)[2], { note: /after the task had moved on/, endedAtMs: 9_000 });
  });

  t.test("an answer comes back whole, a training's 202 until its result takes its place", async (t) => {
    const store = await create(t);
    const { task } = await store.insert(sampleTask());
    await store.claim(...LANE, 0);
    const accepted = { ...sampleAnswer("accepted"), status: 202 };
    await store.markRunning(task.uuid, 1, "run-9", accepted);
    t.match(store.get(task.uuid), { status: "running", trackingId: "run-9", answer: accepted });
    const result = sampleAnswer("the result");
    await store.finish(task.uuid, 1, succeeded(result));
    t.match(store.get(task.uuid), { trackingId: "run-9", finishedAtMs: 9_000 });
    t.same(store.get(task.uuid)?.answer, result);
  });

  t.test("a listener hears of every committed change, in order", async (t) => {
    const store = await create(t);
    const heard: string[] = [];
    const unsubscribe = store.onChange((row) => {
      t.equal(store.get(row.uuid)?.status, row.status, "it can be read back at once");
      heard.push(`${row.status} ${row.attempt}`);
    });
    const { task } = await store.insert(sampleTask());
    await store.claim(...LANE, 0);
    await store.requeue(task.uuid, 1, 0, null);
    await store.claim(...LANE, 0);
    await store.finish(task.uuid, 2, succeeded());
    await store.finish(task.uuid, 2, succeeded());
    t.same(heard, ["pending 0", "scheduled 1", "pending 1", "scheduled 2", "succeeded 2"]);
    unsubscribe();
    await store.insert(sampleTask());
    t.equal(heard.length, 5);
  });
}

function testDeadlines(t: Test, create: StoreFactory): void {
  t.test("waiting tasks past their deadline fail as expired; others do not", async (t) => {
    const store = await create(t);
    t.equal(store.nextDeadlineMs(), null);
    const running = (await store.insert(sampleTask({ deadlineAtMs: 10 }))).task;
    await store.claim(...LANE, 0);
    const overdue = await Promise.all(
      Array.from({ length: 1_100 }, () => store.insert(sampleTask({ deadlineAtMs: 50 }))),
    );
    const later = (await store.insert(sampleTask({ deadlineAtMs: 100 }))).task;
    await store.insert(sampleTask());
    t.equal(store.nextDeadlineMs(), 50);
    const expired = await store.expire(50);
    t.same(new Set(expired), new Set(overdue.map(({ task }) => task.uuid)));
    t.match(store.get(overdue[0]!.task.uuid), { status: "failed", reason: "expired", finishedAtMs: 50 });
    t.equal(store.nextDeadlineMs(), 100);
    t.equal(store.get(running.uuid)?.status, "scheduled");
    t.equal(store.get(later.uuid)?.status, "pending");
    t.equal(store.countWaiting().tasks, 2);
  });
}

function testLists(t: Test, create: StoreFactory): void {
  t.test("tasks are listed newest first, page by page, by what they are", async (t) => {
    const store = await create(t);
    const uuids: string[] = [];
    for (let i = 0; i < 7; i++) uuids.push((await store.insert(sampleTask({ model: `m${i % 2}` }))).task.uuid);
    await store.claim("m1", ["interactive"], 0);
    const seen: string[] = [];
    for (let after: string | null = "999999999"; after !== null; ) {
      const page = store.list({ limit: 3, after });
      seen.push(...page.tasks.map(({ uuid }) => uuid));
      after = page.next;
    }
    t.same(seen, uuids.toReversed());
    t.equal(store.list({ limit: 10, model: "m1" }).tasks.length, 3);
    t.equal(store.list({ limit: 10, status: "scheduled" }).tasks[0]?.uuid, uuids[1]);
    t.equal(store.list({ limit: 10, model: "m0", status: "scheduled" }).tasks.length, 0);
  });

  t.test("the list is narrowed by what a task is, why it failed and when it was created", async (t) => {
    const store = await create(t);
    const made = await Promise.all(
      [1_000, 2_000, 3_000].map((createdAtMs, at) =>
        store.insert(sampleTask({ createdAtMs, task: at === 1 ? "process_bulk" : "process", tenant: `t${at}` })),
      ),
    );
    const [oldest, middle, newest] = made.map(({ task }) => task.uuid);
    await store.failWaiting(newest!, failed("cancelled"));
    const found = (filter: Partial<TaskFilter>) => store.list({ limit: 10, ...filter }).tasks.map(({ uuid }) => uuid);
    t.same(found({ task: "process_bulk" }), [middle]);
    t.same(found({ reason: "cancelled" }), [newest]);
    t.same(found({ reason: "expired" }), []);
    t.same(found({ sinceMs: 2_000 }), [newest, middle], "from this moment on");
    t.same(found({ untilMs: 2_000 }), [oldest], "before this moment");
    t.same(found({ sinceMs: 1_000, untilMs: 3_000, task: "process", tenant: "t0" }), [oldest]);
  });
}
