/** One training's attempt with everything it really has: SQLite, blobs, permits, a catalogue, and a model server told what to say. */
import { randomUUID } from "node:crypto";
import http from "node:http";
import type { AddressInfo } from "node:net";
import t, { type Test } from "tap";
import { configSchema } from "../../../config/schema.js";
import { systemClock } from "../../../core/runtime/clock.js";
import { createHttpClient } from "../../../core/runtime/http.js";
import { createModelCatalogue } from "../../../sidecar/models/model-catalogue.js";
import { createAttempts } from "../../../sidecar/scheduler/attempt.js";
import { createPermits } from "../../../sidecar/scheduler/limiter.js";
import { createCaller } from "../../../sidecar/scheduler/run.js";
import type { NewTask, Outcome, TaskRow } from "../../../sidecar/tasks/store.js";
import { inlineBody, sampleTask } from "../../contract/task-samples.js";
import { openRig, quiet } from "../tasks/store-rig.js";

type Answer = { status: number; body: object } | "cut" | "hang";

const ACCEPTED: Answer = { status: 202, body: { message: "started", experiment_id: "1", run_id: "r1" } };
const BUSY: Answer = { status: 503, body: { message: "Another training", experiment_id: "1", run_id: "theirs" } };

async function startRig(t: Test) {
  const said = { training: ACCEPTED as Answer, status: "RUNNING", isKnown: true, sent: 0 };
  const server = http.createServer(async (req, res) => {
    req.resume();
    const name = new URL(req.url!, "http://m").searchParams.get("train_eval_id");
    if (req.method === "GET" && name !== null) {
      const run = {
        run_id: "r1",
        run_name: name,
        experiment_id: "1",
        status: said.status,
        start_time: Date.now(),
        tags: {},
      };
      return void res.writeHead(said.isKnown ? 200 : 404).end(JSON.stringify(said.isKnown ? [run] : []));
    }
    if (req.method === "GET") return void res.end("ready");
    said.sent += 1;
    if (said.training === "hang") return;
    if (said.training === "cut") return void req.socket.resetAndDestroy();
    res.writeHead(said.training.status, { "content-type": "application/json" }).end(JSON.stringify(said.training.body));
  });
  server.listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  const { store, blobs, dataDir } = await openRig(t);
  const client = createHttpClient();
  const config = configSchema.parse({
    data_dir: dataDir,
    discovery: { static: [{ name: "m", url }], docker: { enabled: false }, probe_interval: "100ms" },
  });
  const catalogue = createModelCatalogue({ config, dataDir, logger: quiet, clock: systemClock, http: client });
  await catalogue.start();
  await catalogue.allFirstRoundDone;
  const caller = createCaller({ blobs, connectTimeoutMs: 1_000, responseTimeoutMs: 1_200, idleTimeoutMs: 1_000 });
  const permits = createPermits({ maxConcurrentTasks: 4, budgets: new Map() });
  const completed: [string, Outcome][] = [];
  const attempts = createAttempts({
    store,
    blobs,
    catalogue,
    caller,
    http: client,
    clock: systemClock,
    logger: quiet,
    observer: {
      scheduled() {},
      requeued() {},
      completed: (task, outcome) => void completed.push([task.uuid, outcome]),
    },
    trackingUri: () => "http://mlflow",
    followBounds: () => ({ lostAfterMs: 300, limitMs: null }),
  });
  const over = new AbortController();
  const under = new Set<Promise<void>>();
  t.teardown(async () => {
    attempts.releaseFollowers();
    over.abort(new Error("over"));
    await Promise.all(under);
    await permits.stop();
    await catalogue.stop(Date.now());
    await caller.close();
    await client.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  const submit = async (change: Partial<NewTask> = {}): Promise<string> => {
    const training = {
      model: "m",
      task: "train_supervised",
      class: "training",
      priority: 7,
      path: "/train_supervised",
    };
    const { task } = await store.insert(sampleTask({ ...training, forceTrackingId: true, ...change }));
    return task.uuid;
  };
  const slot = () =>
    permits.request({ model: "m", class: "training", priority: 7, training: true, concurrency: 1 }, over.signal);
  /** Claims what is due with a training slot, as the dispatcher does; resolves when the attempt is over. */
  const run = async (): Promise<void> => {
    const permit = await slot();
    const claim = await store.claim("m", ["training"], Date.now());
    const work = attempts.run(claim!, permit, over.signal).finally(() => permit.release());
    under.add(work);
    return work;
  };
  const reached = (uuid: string, holds: (task: TaskRow) => boolean) =>
    new Promise<TaskRow>((resolve, reject) => {
      const look = () => {
        const task = store.get(uuid)!;
        if (!holds(task)) return;
        clearTimeout(timer);
        off();
        resolve(task);
      };
      const off = store.onChange(look);
      const timer = setTimeout(() => {
        off();
        reject(new Error(`still ${JSON.stringify(store.get(uuid))}`));
      }, 10_000);
      look();
    });
  return { said, store, catalogue, attempts, completed, submit, slot, run, reached, signal: over.signal };
}

t.test("a run holds its model's lease and its training slot until it is final", async (t) => {
  const rig = await startRig(t);
  const uuid = await rig.submit();
  const over = rig.run();
  await rig.reached(uuid, (task) => task.status === "running");
  t.equal(rig.catalogue.use("m").leases, 1);
  let isFree = false;
  const next = rig.slot().then((permit) => {
    isFree = true;
    permit.release();
  });
  await systemClock.sleep(200);
  t.equal(isFree, false);
  rig.said.status = "FINISHED";
  await over;
  t.match(rig.store.get(uuid), { status: "succeeded", trackingId: "r1" });
  t.equal(rig.catalogue.use("m").leases, 0);
  await next;
});

t.test("a busy trainer: back to its own place, the slot kept meanwhile; held callers are told", async (t) => {
  const rig = await startRig(t);
  rig.said.training = BUSY;
  const first = await rig.submit();
  const second = await rig.submit();
  void rig.run();
  const waiting = await rig.reached(first, (task) => task.status === "pending" && task.attempt === 1);
  t.match(waiting, { errorMessage: /busy with another training \(experiment_id 1, run_id theirs\)/ });
  const pauseMs = waiting.notBeforeMs - Date.now();
  t.ok(pauseMs > 4_000 && pauseMs <= 7_500, `first back-off ${pauseMs} ms`);
  let isFree = false;
  rig.slot().then(
    () => {
      isFree = true;
    },
    () => undefined,
  );
  await systemClock.sleep(100);
  t.equal(isFree, false, "the training slot is kept");
  t.equal(rig.store.get(second)?.attempt, 0, "the one behind it is not sent in its place");
  t.match(rig.store.attempts(first), [{ outcome: "requeued", cause: "busy" }]);

  const held = await rig.submit({ mode: "held" });
  await rig.attempts.answerHeld("m");
  const told = rig.store.get(held);
  t.match(told, { status: "failed", reason: "rejected", answer: { status: 503 } });
  const body = told?.answer?.body;
  t.match(JSON.parse(body?.kind === "inline" ? body.bytes.toString() : ""), { run_id: "theirs", experiment_id: "1" });
  t.equal(rig.store.get(second)?.status, "pending");
});

t.test("the back-off grows with the busy answers, and with nothing else that happened to the task", async (t) => {
  const rig = await startRig(t);
  const uuid = await rig.submit();
  for (const cause of ["refused", "interrupted", "busy", "busy", "not_ready"] as const) {
    const claim = await rig.store.claim("m", ["training"], Date.now());
    await rig.store.requeue(uuid, claim!.task.attempt, 0, { cause, note: cause });
  }
  rig.said.training = BUSY;
  void rig.run();
  const waiting = await rig.reached(uuid, (task) => task.status === "pending" && task.attempt === 6);
  const pauseMs = waiting.notBeforeMs - Date.now();
  t.ok(pauseMs > 19_000 && pauseMs <= 30_000, `third back-off ${pauseMs} ms`);
});

t.test("a training that was sent and not answered is never sent again: it is followed where it runs", async (t) => {
  for (const answer of ["cut", "hang", { status: 504, body: {} }] satisfies Answer[]) {
    const rig = await startRig(t);
    rig.said.training = answer;
    const uuid = await rig.submit();
    const over = rig.run();
    const running = await rig.reached(uuid, (task) => task.status === "running");
    t.match(running, { trackingId: "r1", answer: { status: 202 } });
    rig.said.status = "FINISHED";
    await over;
    t.match(rig.store.get(uuid), { status: "succeeded", attempt: 1 });
    t.equal(rig.said.sent, 1);
  }
});

t.test("where nobody knows of it, it is lost, or failed with the answer that came", async (t) => {
  const rig = await startRig(t);
  rig.said.isKnown = false;
  rig.said.training = "cut";
  const lost = await rig.submit();
  await rig.run();
  t.match(rig.store.get(lost), { status: "failed", reason: "lost", attempt: 1 });
  rig.said.training = { status: 502, body: { message: "no gateway" } };
  const failed = await rig.submit();
  await rig.run();
  t.match(rig.store.get(failed), { status: "failed", reason: "upstream_error", answer: { status: 502 } });
  t.equal(rig.said.sent, 2);
});

t.test("what a crash left unsure is never sent again", async (t) => {
  const rig = await startRig(t);
  const known = await rig.submit();
  const claim = await rig.store.claim("m", ["training"], Date.now());
  const over = rig.attempts.resume(claim!, rig.signal);
  await rig.reached(known, (task) => task.status === "running");
  rig.said.status = "FINISHED";
  await over;
  t.match(rig.store.get(known), { status: "succeeded", trackingId: "r1" });

  rig.said.isKnown = false;
  const unknown = await rig.submit();
  await rig.attempts.resume((await rig.store.claim("m", ["training"], Date.now()))!, rig.signal);
  t.match(rig.store.get(unknown), { status: "failed", reason: "lost", errorMessage: /knows no such run/ });
  t.equal(rig.said.sent, 0);
});

t.test("a route that nobody knows to be harmless is not sent again after a crash; a known one is", async (t) => {
  const rig = await startRig(t);
  const odd = await rig.submit({ task: "cancel_training", path: "/cancel_training" });
  await rig.attempts.resume((await rig.store.claim("m", ["training"], Date.now()))!, rig.signal);
  t.match(rig.store.get(odd), { status: "failed", reason: "lost", errorMessage: /must not be sent twice/ });
  const plain = await rig.submit({ task: "process_bulk", path: "/process_bulk" });
  await rig.attempts.resume((await rig.store.claim("m", ["training"], Date.now()))!, rig.signal);
  t.match(rig.store.get(plain), { status: "pending", errorMessage: /interrupted by a crash/ });
});

t.test("an answer of an older attempt is refused, recorded, and changes nothing", async (t) => {
  const rig = await startRig(t);
  rig.said.training = { status: 200, body: { late: true } };
  const uuid = await rig.submit({ task: "process", path: "/process", payload: inlineBody("a note") });
  const claim = (await rig.store.claim("m", ["training"], Date.now()))!;
  // What a stall past every bound comes to: the task has gone on without this attempt.
  await rig.store.requeue(uuid, 1, 0, { cause: "interrupted", note: "stalled" });
  const permit = await rig.slot();
  await rig.attempts.run(claim, permit, rig.signal);
  permit.release();
  t.match(rig.store.get(uuid), { status: "pending", answer: null });
  t.match(rig.store.attempts(uuid), [
    { attempt: 1, outcome: "requeued", note: "stalled" },
    { attempt: 1, outcome: "refused", note: /after the task had moved on/ },
  ]);
  t.same(rig.completed, []);
  await rig.run();
  t.match(rig.store.get(uuid), { status: "succeeded", attempt: 2 });
  t.equal(rig.completed.length, 1);
});

t.test(
  "a run that is killed is cancelled for whom asked, also before a restart of ours, and an error for all others",
  async (t) => {
    const rig = await startRig(t);
    rig.said.status = "KILLED";
    const uuid = await rig.submit();
    await rig.run();
    t.match(rig.store.get(uuid), { status: "failed", reason: "upstream_error", errorMessage: /nobody asked Sluice/ });

    const asked = await rig.submit({ uuid: randomUUID() });
    await rig.store.claim("m", ["training"], Date.now());
    await rig.store.markRunning(asked, 1, "r1", { status: 202, headers: [], body: inlineBody("{}"), upstreamMs: 1 });
    await rig.store.markCancelAsked(asked, 1, Date.now());
    const [left] = rig.store.unfinished();
    await rig.attempts.resume(left!, rig.signal);
    t.match(rig.store.get(asked), { status: "failed", reason: "cancelled" });
  },
);
