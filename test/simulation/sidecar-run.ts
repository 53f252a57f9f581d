/** One run of the sidecar: the real scheduler, wired as `sidecar/start.ts` wires it, in a process that can die. */
import { type Config, configSchema } from "../../config/schema.js";
import { asSluiceError, SluiceError } from "../../core/contract/errors.js";
import { DEFAULT_ROUTES, type RouteTable, TASK_TYPES } from "../../core/contract/routes.js";
import { isFinal, type Submission } from "../../core/contract/tasks.js";
import type { Logger } from "../../core/runtime/logger.js";
import { type Attempts, createAttempts } from "../../sidecar/scheduler/attempt.js";
import { isTraining } from "../../sidecar/scheduler/decide.js";
import { createDispatcher, type Dispatcher } from "../../sidecar/scheduler/dispatch.js";
import { submitTask } from "../../sidecar/tasks/submit.js";
import { MemoryBlobs, MemoryDisk } from "./memory-disk.js";
import { MemoryPermits } from "./memory-permits.js";
import { MemoryStore } from "./memory-store.js";
import type { SimulatedServer } from "./model-server.js";
import type { PlannedTask } from "./plan.js";
import { SidecarProcess } from "./sidecar-process.js";
import { SimulatedCatalogue } from "./simulated-catalogue.js";
import { simulateCaller, simulateHttp } from "./simulated-network.js";
import type { World } from "./world.js";

const config: Config = configSchema.parse({});
/** The table is asked at every step, so it is kept short. */
const ROUTES: RouteTable = { process_bulk: DEFAULT_ROUTES.process_bulk!, "train_*": DEFAULT_ROUTES["train_*"]! };
const unheard = { scheduled() {}, completed() {}, requeued() {} };

export class SidecarRun {
  readonly process: SidecarProcess;
  readonly catalogue: SimulatedCatalogue;
  readonly #world: World;
  readonly #logger: Logger;
  readonly #blobs: MemoryBlobs;
  readonly #store: MemoryStore;
  readonly #attempts: Attempts;
  readonly #dispatcher: Dispatcher;

  constructor(world: World, servers: ReadonlyMap<string, SimulatedServer>, vanished: ReadonlySet<string>) {
    const { plan } = world;
    this.#world = world;
    this.process = new SidecarProcess(world.clock, world.nextProcess());
    const { clock } = this.process;
    this.#logger = simulateLogger(world);
    const network = { world, process: this.process, servers };
    const http = simulateHttp(network);
    this.#blobs = new MemoryBlobs(world, this.process);
    this.#store = new MemoryStore({
      tables: world.tables,
      disk: new MemoryDisk(world, this.process),
      bounds: () => ({ maxTasks: 10_000, maxBytes: 2 ** 30 }),
      order: () => ({ ageingMs: plan.ageingMs, weightOf: (tenant) => plan.weights[tenant ?? ""] ?? 1 }),
      releaseBlob: (key) => void this.#blobs.remove(key),
      now: clock.now,
      refuseStranger: () => {
        if (this.process.number !== world.newestProcess)
          throw new SluiceError("STORE_FAILED", "another process owns it");
      },
    });
    const logger = this.#logger;
    this.catalogue = new SimulatedCatalogue({ ...network, http, logger }, vanished);
    const parts = { store: this.#store, catalogue: this.catalogue, clock, logger, observer: unheard };
    this.#attempts = createAttempts({
      ...parts,
      blobs: this.#blobs,
      caller: simulateCaller(network, this.#blobs),
      http,
      trackingUri: () => "http://tracker.test",
      followBounds: () => ({ lostAfterMs: 60_000, limitMs: 7_200_000 }),
    });
    const maxConcurrentTasks = plan.maxConcurrentTasks;
    this.#dispatcher = createDispatcher({
      ...parts,
      attempts: this.#attempts,
      permits: new MemoryPermits({ maxConcurrentTasks, budgets: new Map() }, () => clock.sleep(world.random.next())),
      settings: () => ({ routes: ROUTES, ageing: plan.ageingMs, max_concurrent_tasks: maxConcurrentTasks }),
      gateUrgency: () => Number.POSITIVE_INFINITY,
      startTimeoutMs: () => plan.startTimeoutMs,
    });
  }

  /** @param isAlone false while an older process is still letting go: what it wrote must not be swept away */
  async start(isAlone: boolean): Promise<void> {
    if (isAlone) await this.#blobs.sweep((key) => this.#store.namesBlob(key));
    await this.#dispatcher.start();
  }

  /** Stops as on SIGTERM, within a grace. */
  async stop(graceMs: number): Promise<void> {
    const deadlineMs = this.process.clock.now() + graceMs;
    await this.#dispatcher.stop(deadlineMs);
    await this.catalogue.stop(deadlineMs);
  }

  /** Stops without ending a model server: a newer process has them. */
  async letGo(graceMs: number): Promise<void> {
    this.catalogue.close();
    await this.#dispatcher.stop(this.process.clock.now() + graceMs);
  }

  async submit(uuid: string, planned: PlannedTask): Promise<void> {
    const { clock } = this.process;
    const deps = {
      store: this.#store,
      blobs: this.#blobs,
      config: () => config,
      anticipate: this.#dispatcher.anticipate,
      now: clock.now,
    };
    try {
      const { task } = await submitTask(deps, submission(uuid, planned), once(Buffer.alloc(planned.bytes, "p")));
      this.#world.tell({ type: "promised", task: task.uuid });
      this.#dispatcher.wake();
      if (task.mode === "held" && isTraining(task.task)) void this.#attempts.answerHeld(task.model);
    } catch (cause) {
      expectRefusal(cause);
    }
  }

  /** As `DELETE /tasks/<id>` does. */
  async cancel(uuid: string): Promise<void> {
    const task = this.#store.get(uuid);
    if (task === null || isFinal(task.status)) return;
    const tell = (how: "dequeued" | "accepted" | "refused") =>
      this.#world.tell({ type: "cancel-answered", task: uuid, how });
    this.#world.tell({ type: "cancel-asked", task: uuid });
    try {
      if (task.status === "running") {
        tell((await this.#attempts.cancelTraining(task)).accepted ? "accepted" : "refused");
      } else if (task.status === "pending") {
        const end = { status: "failed", reason: "cancelled", errorMessage: "cancelled", answer: null } as const;
        const isDone = await this.#store.failWaiting(uuid, { ...end, finishedAtMs: this.process.clock.now() });
        tell(isDone ? "dequeued" : "refused");
      }
    } catch (cause) {
      expectRefusal(cause);
    }
  }
}

/** A bad disk refuses; anything else is a fault of the simulation or of what it runs. */
function expectRefusal(cause: unknown): void {
  const { code } = asSluiceError(cause);
  if (!["STORE_FAILED", "DISK_FULL", "IDEMPOTENCY_KEY_REUSED"].includes(code)) throw cause;
}

function submission(uuid: string, { task, model, mode, ...planned }: PlannedTask): Submission {
  const isOwnName = isTraining(task) && mode !== "task";
  return {
    uuid,
    model,
    task,
    mode,
    class: planned.class,
    priority: planned.priority,
    tenant: planned.tenant,
    deadlineMs: planned.deadlineMs,
    idempotencyKey: planned.idempotencyKey,
    method: "POST",
    path: `${TASK_TYPES[task]!.path}${isOwnName ? `?tracking_id=own-${uuid}` : ""}`,
    headers: [],
    requestId: uuid,
    source: "simulation",
    forceTrackingId: mode === "task",
    callback: null,
  };
}

async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}

/** What the scheduler itself did not foresee is worth a look in a replayed history. */
function simulateLogger(world: World): Logger {
  const quiet = () => {};
  const logger: Logger = {
    error: (fields, message) => world.onError?.(fields, message),
    warn: quiet,
    info: quiet,
    debug: quiet,
    child: () => logger,
    setLevel: quiet,
  };
  return logger;
}
