/** The dispatcher with everything it really has: SQLite, blobs, a catalogue, and a model server in its own process. */
import { randomUUID } from "node:crypto";
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import t, { type Test } from "tap";
import { configSchema } from "../../../config/schema.js";
import { DEFAULT_ROUTES } from "../../../core/contract/routes.js";
import type { TaskStatus } from "../../../core/contract/tasks.js";
import { type Clock, systemClock } from "../../../core/runtime/clock.js";
import { createHttpClient } from "../../../core/runtime/http.js";
import { createLogger } from "../../../core/runtime/logger.js";
import { openForWriting } from "../../../sidecar/db/open.js";
import { createModelCatalogue } from "../../../sidecar/models/model-catalogue.js";
import { createAttempts } from "../../../sidecar/scheduler/attempt.js";
import { createDispatcher } from "../../../sidecar/scheduler/dispatch.js";
import { createPermits } from "../../../sidecar/scheduler/limiter.js";
import { createCaller } from "../../../sidecar/scheduler/run.js";
import { openTasks } from "../../../sidecar/tasks/open-tasks.js";
import type { NewTask, TaskRow, TaskStore } from "../../../sidecar/tasks/store.js";
import { fastClock } from "../../helpers/fast-clock.js";
import { makeFolder } from "../../helpers/folder.js";
import { type RunningGazetteer, startGazetteer } from "../../helpers/gazetteer.js";

interface Rig {
  readonly store: TaskStore;
  submit(changes?: Partial<NewTask> & { text?: string; misbehave?: string }): Promise<string>;
  final(uuid: string, withinMs?: number): Promise<TaskRow>;
  reached(uuid: string, status: TaskStatus): Promise<TaskRow>;
  stop(graceMs?: number): Promise<void>;
}

const logger = createLogger({ level: "silent", format: "json", process: "test" });

const SLOTS = 4;
const unheard = { scheduled() {}, completed() {}, requeued() {} };

async function startRig(
  t: Test,
  models: Record<string, string>,
  options: { dataDir?: string; idleTimeoutMs?: number; clock?: Clock } = {},
): Promise<Rig> {
  const { dataDir = makeFolder(t), clock = systemClock } = options;
  const config = configSchema.parse({
    data_dir: dataDir,
    discovery: {
      static: Object.entries(models).map(([name, url]) => ({ name, url })),
      docker: { enabled: false },
      probe_interval: "100ms",
    },
  });
  const http = createHttpClient();
  const bounds = () => ({ maxTasks: 10_000, maxBytes: 2 ** 30 });
  const { store, blobs } = await openTasks({ dataDir, bounds, logger });
  const catalogue = createModelCatalogue({ config, dataDir, logger, clock: systemClock, http });
  await catalogue.start();
  const permits = createPermits({ maxConcurrentTasks: SLOTS, budgets: new Map() });
  const caller = createCaller({
    blobs,
    connectTimeoutMs: 1_000,
    responseTimeoutMs: 20_000,
    idleTimeoutMs: options.idleTimeoutMs ?? 20_000,
  });
  const attempts = createAttempts({
    store,
    blobs,
    catalogue,
    caller,
    http,
    clock,
    logger,
    observer: unheard,
    trackingUri: () => "http://mlflow",
  });
  const dispatcher = createDispatcher({
    store,
    catalogue,
    permits,
    attempts,
    clock,
    logger,
    observer: unheard,
    settings: () => ({ routes: DEFAULT_ROUTES, ageing: 60_000, max_concurrent_tasks: SLOTS }),
    gateUrgency: () => Number.POSITIVE_INFINITY,
    startTimeoutMs: () => 2_000,
  });
  await dispatcher.start();
  let stopped: Promise<void> | undefined;
  const stop = async (graceMs = 0) => {
    await dispatcher.stop(Date.now() + graceMs);
    await catalogue.stop(Date.now() + 1_000);
    await caller.close();
    await http.close();
    await store.close();
  };
  const stopOnce = (graceMs?: number) => {
    stopped ??= stop(graceMs);
    return stopped;
  };
  t.teardown(() => stopOnce());

  const when = (uuid: string, holds: (task: TaskRow) => boolean, withinMs: number) =>
    new Promise<TaskRow>((resolve, reject) => {
      const look = () => {
        const task = store.get(uuid);
        if (task === null || !holds(task)) return;
        clearTimeout(timer);
        off();
        resolve(task);
      };
      const off = store.onChange(look);
      const timer = setTimeout(() => {
        off();
        reject(new Error(`${uuid} is still ${store.get(uuid)?.status}: ${store.get(uuid)?.errorMessage}`));
      }, withinMs);
      look();
    });

  return {
    store,
    async submit(changes = {}) {
      const { text = "Patient with kidney failure", misbehave, ...rest } = changes;
      const uuid = randomUUID();
      const payload = await blobs.write("payload", chunks(Buffer.from(text)), {
        maxBytes: 2 ** 30,
        idleTimeoutMs: 5_000,
      });
      await store.insert({
        uuid,
        model: "m",
        task: "process",
        method: "POST",
        path: "/process",
        headers: [
          "Host",
          "sluice",
          "Content-Type",
          "text/plain",
          "X-Request-Id",
          uuid,
          ...(misbehave === undefined ? [] : ["X-Misbehave", misbehave]),
        ],
        class: "interactive",
        priority: 2,
        tenant: null,
        mode: "task",
        source: "ip=127.0.0.1; ua=test",
        requestId: uuid,
        forceTrackingId: false,
        createdAtMs: Date.now(),
        deadlineAtMs: null,
        idempotencyKey: null,
        callback: null,
        payload,
        ...rest,
      });
      dispatcher.wake();
      return uuid;
    },
    final: (uuid, withinMs = 15_000) =>
      when(uuid, (task) => task.status === "succeeded" || task.status === "failed", withinMs),
    reached: (uuid, status) => when(uuid, (task) => task.status === status, 10_000),
    stop: stopOnce,
  };
}

async function* chunks(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}

/** Bodies the model server got, by task: the request id is the task's id here. */
async function sentCounts(server: RunningGazetteer): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  for (const { requestId } of await server.requests()) {
    if (requestId !== null) counts.set(requestId, (counts.get(requestId) ?? 0) + 1);
  }
  return counts;
}

/** One for all: what is counted is counted by task. */
const server = await startGazetteer(t);

t.test("a task runs once, and its answer is the model server's own", async (t) => {
  const rig = await startRig(t, { m: server.url });
  const done = await rig.final(await rig.submit());
  t.match(done, { status: "succeeded", attempt: 1, answer: { status: 200 } });
  t.same(done.headers, [], "the headers, tokens among them, are gone with the body");
  const body = done.answer?.body;
  t.match(body?.kind === "inline" && JSON.parse(body.bytes.toString()), { annotations: [{ label_name: String }] });
});

t.test("a hundred tasks each run once and end once, one at a time for one model", async (t) => {
  const rig = await startRig(t, { m: server.url });
  const ids = await Promise.all(
    Array.from({ length: 100 }, (_, index) =>
      rig.submit({ priority: index % 10, class: index % 2 ? "batch" : "interactive" }),
    ),
  );
  for (const id of ids) t.equal((await rig.final(id, 30_000)).status, "succeeded");
  const counts = await sentCounts(server);
  t.ok(ids.every((id) => counts.get(id) === 1));
});

t.test("with the slot taken, the urgent late one goes before the earlier ones", async (t) => {
  const rig = await startRig(t, { m: server.url });
  const blocker = await rig.submit({ misbehave: "delay=600" });
  await rig.reached(blocker, "scheduled");
  const early = await Promise.all(Array.from({ length: 30 }, () => rig.submit({ class: "batch", priority: 5 })));
  const urgent = await rig.submit({ class: "batch", priority: 0 });
  const urgentRow = await rig.final(urgent);
  const rows = await Promise.all(early.map((id) => rig.final(id)));
  t.ok(rows.every((row) => row.startedAtMs! >= urgentRow.startedAtMs!));
});

t.test("what the model server refuses ends the task with its words, and is kept for a held caller", async (t) => {
  const rig = await startRig(t, { m: server.url });
  const done = await rig.final(await rig.submit({ task: "process_bulk", path: "/process_bulk", text: "{" }));
  t.match(done, { status: "failed", reason: "rejected", answer: { status: 422 } });
  t.match(done.errorMessage, /the model server answered 422/);
});

t.test("a redirect is a result, as CMG has it; but no training has begun by it", async (t) => {
  const rig = await startRig(t, { m: server.url });
  const done = await rig.final(await rig.submit({ misbehave: "status=307" }));
  t.match(done, { status: "succeeded", attempt: 1, answer: { status: 307 } });
  const training = { task: "train_supervised", path: "/train_supervised", class: "training", misbehave: "status=307" };
  t.match(await rig.final(await rig.submit(training)), { status: "failed", reason: "rejected", attempt: 1 });
});

t.test("a cut connection is tried again, and an attempt is never counted as an answer", async (t) => {
  const rig = await startRig(t, { m: server.url }, { clock: fastClock(20) });
  const done = await rig.final(await rig.submit({ misbehave: "cut-head" }));
  t.match(done, { status: "failed", reason: "upstream_error", attempt: 3 });
});

t.test("a model server that falls silent inside its answer is tried twice, then the task ends", async (t) => {
  const rig = await startRig(t, { m: server.url }, { idleTimeoutMs: 300, clock: fastClock(20) });
  const done = await rig.final(await rig.submit({ misbehave: "slow-body=60000" }), 20_000);
  t.match(done, { status: "failed", reason: "upstream_error", attempt: 2, errorMessage: /silent too long/ });
});

t.test("what is not HTTP is named so, and not asked for again", async (t) => {
  const rig = await startRig(t, { m: server.url });
  const done = await rig.final(await rig.submit({ misbehave: "bad-http" }));
  t.match(done, { status: "failed", reason: "upstream_error", attempt: 1, errorMessage: /valid HTTP/ });
});

t.test("a task whose stored body is gone ends at once, and nothing is sent", async (t) => {
  const dataDir = makeFolder(t);
  const rig = await startRig(t, { m: server.url }, { dataDir });
  const first = await rig.submit({ misbehave: "delay=1000" });
  await rig.reached(first, "scheduled");
  const uuid = await rig.submit({ text: "x".repeat(100_000) });
  for (const name of await readdir(join(dataDir, "payloads"))) await rm(join(dataDir, "payloads", name));
  const done = await rig.final(uuid);
  t.match(done, { status: "failed", reason: "internal", attempt: 1, errorMessage: /missing or damaged/ });
  t.notOk((await sentCounts(server)).has(uuid));
});

t.test("a task whose stored headers are damaged ends at once, and nothing is sent", async (t) => {
  const dataDir = makeFolder(t);
  const rig = await startRig(t, { m: server.url }, { dataDir });
  const begun = await rig.submit({ misbehave: "delay=1500" });
  await rig.reached(begun, "scheduled");
  const away = await rig.submit({ model: "away" });
  const whole = await rig.submit();
  await rig.stop();
  const database = openForWriting(join(dataDir, "sluice.db"));
  database.prepare("UPDATE tasks SET headers = '[\"Content-' WHERE uuid = ?").run(begun);
  database.prepare("UPDATE tasks SET headers = '{}' WHERE uuid = ?").run(away);
  database.close();

  const next = await startRig(t, { m: server.url, away: server.url }, { dataDir });
  for (const uuid of [begun, away])
    t.match(await next.final(uuid), { status: "failed", reason: "internal", errorMessage: /missing or damaged/ });
  t.equal((await next.final(whole)).status, "succeeded");
  t.ok(((await sentCounts(server)).get(begun) ?? 0) <= 1, "but for what was under way before");
  t.notOk((await sentCounts(server)).has(away));
});

t.test("a training is followed to its end; a busy trainer is not an error", async (t) => {
  const trainer = await startGazetteer(t, { args: ["--train-doc-ms", "50"] });
  const rig = await startRig(t, { m: trainer.url }, { clock: fastClock(10) });
  const boundary = "b";
  const exportText = JSON.stringify({
    projects: [
      { id: 1, name: "p", cuis: "", tuis: "", documents: [{ id: 1, name: "d", text: "new thing", annotations: [] }] },
    ],
  });
  const text = `--${boundary}\r\nContent-Disposition: form-data; name="trainer_export"; filename="e.json"\r\nContent-Type: application/json\r\n\r\n${exportText}\r\n--${boundary}--\r\n`;
  const training = {
    task: "train_supervised",
    path: "/train_supervised?epochs=1",
    class: "training",
    priority: 7,
    forceTrackingId: true,
    headers: ["Content-Type", `multipart/form-data; boundary=${boundary}`],
    text,
  };
  const first = await rig.submit(training);
  const second = await rig.submit(training);
  for (const id of [first, second]) {
    const done = await rig.final(id, 30_000);
    t.match(done, { status: "succeeded", trackingId: String });
    const body = done.answer?.body;
    const result = JSON.parse(body?.kind === "inline" ? body.bytes.toString() : "null");
    t.same(Object.keys(result), ["run", "timing", "metrics", "params", "tags", "artifacts", "error"]);
    t.equal(result.run.run_id, done.trackingId);
    t.equal(result.run.status, "FINISHED");
  }
});

t.test("what a stop interrupts is taken up by the next start", async (t) => {
  const dataDir = makeFolder(t);
  const rig = await startRig(t, { m: server.url }, { dataDir });
  const slow = await rig.submit({ misbehave: "delay=1500" });
  const waiting = await rig.submit();
  await rig.reached(slow, "scheduled");
  await rig.stop();
  const next = await startRig(t, { m: server.url }, { dataDir });
  t.equal((await next.final(slow)).status, "succeeded");
  t.equal((await next.final(waiting)).status, "succeeded");
  t.equal((await next.final(slow)).attempt, 2);
});

t.test("tasks wait for a server that is away and run when it comes", async (t) => {
  const first = await startGazetteer(t);
  const { port } = first;
  await first.stop();
  const rig = await startRig(t, { m: `http://127.0.0.1:${port}` });
  const id = await rig.submit();
  t.equal(rig.store.get(id)?.status, "pending");
  await startGazetteer(t, { port });
  t.match(await rig.final(id), { status: "succeeded", attempt: 1 });
});

t.test("a model nobody knows any more fails its tasks after the grace", async (t) => {
  const rig = await startRig(t, {}, { clock: fastClock(20) });
  const done = await rig.final(await rig.submit({ model: "gone" }));
  t.match(done, { status: "failed", reason: "model_unavailable" });
});
