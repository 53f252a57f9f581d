/** Sluice's own queue in this process: its SQLite store, limiter, dispatcher and attempts as they are; only the call does nothing. */
import { createHash, randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { DEFAULT_ROUTES } from "../../core/contract/routes.js";
import { systemClock } from "../../core/runtime/clock.js";
import { createHttpClient } from "../../core/runtime/http.js";
import { createLogger } from "../../core/runtime/logger.js";
import { openForWriting } from "../../sidecar/db/open.js";
import type { ModelCatalogue } from "../../sidecar/models/catalogue.js";
import { createAttempts } from "../../sidecar/scheduler/attempt.js";
import { createDispatcher, type Dispatcher } from "../../sidecar/scheduler/dispatch.js";
import { createPermits } from "../../sidecar/scheduler/limiter.js";
import { createRedisLimiters } from "../../sidecar/scheduler/limiter-redis.js";
import type { Caller } from "../../sidecar/scheduler/run.js";
import { openTasks } from "../../sidecar/tasks/open-tasks.js";
import { prepareWrites } from "../../sidecar/tasks/sqlite-writes.js";
import type { NewTask, StoredBody } from "../../sidecar/tasks/store.js";
import { newTaskRecord } from "../../sidecar/tasks/task-record.js";
import { Histogram } from "../load/histogram.js";
import { type QueuePeer, WorkClock, type Worked } from "./peer.js";

const PER_COMMIT = 50_000;
const BOUNDS = { maxTasks: 10_000_000, maxBytes: 2 ** 50 };
const NOTE = inline("Seen on 3 March 2021 by Dr Khan, tel 020 7946 0958");
const RESULT = inline('{"text":"","annotations":[]}');
const logger = createLogger({ level: "warn", format: "json", process: "bench" });

export interface SluiceQueueOptions {
  readonly folder: string;
  /** Null: the limiter of this process. */
  readonly redisUrl: string | null;
}

export async function openSluiceQueue({ folder, redisUrl }: SluiceQueueOptions): Promise<QueuePeer> {
  const dataDir = mkdtempSync(join(folder, "sluice-"));
  const { store, blobs } = await openTasks({ dataDir, bounds: () => BOUNDS, logger });
  return {
    name: redisUrl === null ? "Sluice, SQLite" : "Sluice, SQLite, Redis limiter",
    fill: async (count) => fillFile(join(dataDir, "sluice.db"), "m", count),
    submit: async () => {
      await store.insert(newTask());
    },
    async work(count, concurrency) {
      const rig = startWork(concurrency, count);
      const off = store.onChange((task) => {
        if (task.status === "succeeded") rig.kept(task.uuid);
      });
      const permits = createPermits(
        { maxConcurrentTasks: concurrency, budgets: new Map() },
        redisUrl === null
          ? {}
          : { limiters: createRedisLimiters({ url: redisUrl, prefix: "bench", clock: systemClock, logger }) },
      );
      const http = createHttpClient();
      const parts = { store, catalogue: rig.catalogue, clock: systemClock, logger };
      const observer = { scheduled() {}, completed() {}, requeued() {} };
      const attempts = createAttempts({
        ...parts,
        blobs,
        caller: rig.caller,
        http,
        observer,
        trackingUri: () => "http://127.0.0.1:9",
      });
      const dispatcher: Dispatcher = createDispatcher({
        ...parts,
        permits,
        attempts,
        observer,
        settings: () => ({ routes: DEFAULT_ROUTES, ageing: 60_000, max_concurrent_tasks: concurrency }),
        gateUrgency: () => Number.POSITIVE_INFINITY,
        startTimeoutMs: () => 1_000,
      });
      const startedMs = performance.now();
      await dispatcher.start();
      const worked = await rig.done(startedMs);
      off();
      await dispatcher.stop(Date.now());
      await permits.stop();
      await http.close();
      return worked;
    },
    async stop() {
      await store.close();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

/** One model that is always ready; after `count` calls it takes no more, so that the rest goes on waiting. */
function startWork(concurrency: number, count: number) {
  const [dispatch, finish] = [new Histogram(), new Histogram()];
  const clock = new WorkClock(dispatch, finish);
  let [begun, kept] = [0, 0];
  let resolveDone = () => {};
  const allDone = new Promise<void>((resolve) => {
    resolveDone = resolve;
  });
  const entry = {
    name: "m",
    source: "static",
    state: "ready",
    url: "http://127.0.0.1:9",
    address: null,
    onDemand: false,
    concurrency,
    modelType: null,
    modelUri: null,
    problem: null,
  } as const;
  const catalogue: ModelCatalogue = {
    get: () => (begun < count ? entry : { ...entry, state: "starting" }),
    list: () => [entry],
    ensureReady: async () => entry,
    onChange: () => () => {},
    lease: () => () => {},
    isChanging: () => false,
  };
  const caller: Caller = {
    async call(task) {
      begun += 1;
      clock.worked(task.uuid);
      return { kind: "answer", answer: { status: 200, headers: [], body: RESULT, upstreamMs: 0 } };
    },
    close: async () => {},
  };
  return {
    catalogue,
    caller,
    kept(uuid: string) {
      clock.kept(uuid);
      kept += 1;
      if (kept === count) resolveDone();
    },
    async done(startedMs: number): Promise<Worked> {
      await allDone;
      return { tasks: kept, durationMs: performance.now() - startedMs, dispatch, finish };
    },
  };
}

/** A data folder in which tasks wait for `model`. */
export async function fillDataDir(dataDir: string, model: string, count: number): Promise<void> {
  const { store } = await openTasks({ dataDir, bounds: () => BOUNDS, logger });
  await store.close();
  fillFile(join(dataDir, "sluice.db"), model, count);
}

/** As the store's own writer inserts, but many to a commit: how they came to wait is not what is measured. */
function fillFile(file: string, model: string, count: number): void {
  const database = openForWriting(file);
  const { insertTask } = prepareWrites(database);
  const insertMany = database.transaction((tasks: number) => {
    for (; tasks > 0; tasks--) insertTask!(newTaskRecord({ ...newTask(), model }), { bounds: BOUNDS, weight: 1 });
  });
  for (let left = count; left > 0; left -= PER_COMMIT) insertMany(Math.min(left, PER_COMMIT));
  database.close();
}

function newTask(): NewTask {
  const uuid = randomUUID();
  return {
    uuid,
    model: "m",
    task: "process",
    method: "POST",
    path: "/process",
    headers: ["Content-Type", "text/plain"],
    class: "interactive",
    priority: 2,
    tenant: null,
    mode: "task",
    source: "ip=127.0.0.1; ua=bench",
    requestId: uuid,
    forceTrackingId: false,
    createdAtMs: Date.now(),
    deadlineAtMs: null,
    idempotencyKey: null,
    callback: null,
    payload: NOTE,
  };
}

function inline(text: string): StoredBody {
  const bytes = Buffer.from(text);
  return { kind: "inline", bytes, sha256: createHash("sha256").update(bytes).digest("hex") };
}
