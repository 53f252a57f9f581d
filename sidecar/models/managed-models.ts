/** Everything of the models that Sluice itself runs, put together: definitions, servers, the queue of starts, the reaper. */
import type { Config } from "../../config/schema.js";
import type { ModelEntry } from "../../core/contract/models.js";
import type { Clock } from "../../core/runtime/clock.js";
import type { Logger } from "../../core/runtime/logger.js";
import type { AdmissionLimits, Resident } from "./admission.js";
import type { ManagedContainer } from "./discovery/containers.js";
import { StartRefused } from "./drivers/driver.js";
import { checkLimits, limitsOf } from "./drivers/limits.js";
import { joinDefinitions, processOf } from "./managed-definitions.js";
import type { ManagedDriver, PlacedDriver } from "./managed-driver.js";
import { type ContainerDrivers, ManagedDrivers } from "./managed-drivers.js";
import type { ManagedModel } from "./managed-model.js";
import type { ManagedServer } from "./managed-server.js";
import { type Managed, ManagedServers } from "./managed-servers.js";
import type { Deployment, ModelStore } from "./model-store.js";
import type { Packages } from "./packages.js";
import type { Pin } from "./pin.js";
import type { Mortal, Reap } from "./reaper.js";
import { Reaper, type ReaperOptions } from "./reaper-jobs.js";
import type { Room } from "./rollout.js";
import { RolloutMemories } from "./rollout-memories.js";
import type { RolloutObserver } from "./rollout-state.js";
import { Rollouts } from "./rollouts.js";
import type { ModelServer, ServerDefinition } from "./server.js";
import { StartTimes } from "./start-times.js";
import { Starts } from "./starts.js";

export interface ManagedModelsOptions {
  readonly config: () => Config;
  /** Null: the configuration alone names models. */
  readonly store: ModelStore | null;
  readonly dataDir: string;
  readonly containers: ContainerDrivers;
  readonly packages: Packages;
  /** See {@link ManagedDriversOptions.registryUrlOf}. */
  readonly registryUrlOf: (name: string) => Promise<string>;
  /** Bounded, never throws; null where nobody knows. */
  readonly modelTypeOf: (modelUri: string) => Promise<string | null>;
  readonly createServer: (given: ManagedServerParts) => ModelServer;
  /** Of the last use's end, in elapsed ms of the clock; null while something holds it, or when nobody has used it. */
  readonly idleSinceMs: (name: string) => number | null;
  /** Whether a training is under way on its present server. */
  readonly isTraining: (name: string) => boolean;
  /** See {@link Holds.replaced}. */
  readonly replaced: (server: ModelServer) => void;
  readonly onChange: () => void;
  readonly observer: ReaperOptions["observer"] & RolloutObserver & { started(name: string, tookMs: number): void };
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface ManagedServerParts {
  readonly definition: ServerDefinition;
  readonly driver: ManagedDriver;
  readonly startable: () => boolean;
  /** Bound on a start from its launch on. */
  readonly startTimeoutMs: () => number;
  readonly onStarted: (tookMs: number) => void;
  readonly onFailed: (why: string) => boolean;
}

/** How long a server that is stopped for its age, or for another one, is waited for until nothing holds it. */
const REAP_WAIT_MS = 10_000;

/** A container that was removed may be in a list that was asked for before; no such look takes as long as this. */
const FORGOTTEN_MS = 15_000;

const IS_UP: ReadonlySet<ModelEntry["state"]> = new Set(["starting", "ready", "unreachable", "draining"]);

export class ManagedModels {
  readonly times: StartTimes | null;
  readonly servers: ManagedServers;
  readonly rollouts: Rollouts;
  readonly #options: ManagedModelsOptions;
  readonly #memories: RolloutMemories;
  readonly #drivers: ManagedDrivers;
  readonly #starts: Starts;
  readonly #reaper: Reaper;
  /** Since when each running server is ready; elapsed ms. */
  readonly #readySinceMs = new Map<string, number>();
  /** By name, elapsed ms until which no container of it is taken for a deployment. */
  readonly #forgottenUntil = new Map<string, number>();
  #taken: ReadonlySet<string> = new Set();

  constructor(options: ManagedModelsOptions) {
    this.#options = options;
    const { config, store, clock, logger, onChange, observer } = options;
    this.times = store === null ? null : new StartTimes({ store, clock, logger });
    this.#drivers = new ManagedDrivers(options);
    this.#starts = new Starts({
      limits: () => admissionLimits(config()),
      residents: () => this.#residents(),
      isWanted: (name) => this.servers.get(name)?.server.isHeld ?? false,
      evict: async (name) => void (await this.servers.stopWhenIdle(name, REAP_WAIT_MS)),
      callOff: (name) => this.servers.get(name)?.server.drain(),
      onWait: (name, problem) => this.servers.waitsFor(name, problem),
      clock,
      logger,
    });
    const memories = new RolloutMemories({ store, logger });
    this.#memories = memories;
    this.servers = new ManagedServers({
      config,
      placeOf: (model) => this.#drivers.placeOf(model),
      pin: (model) => this.rollouts.pin(model),
      createDriver: (model, wish) => this.#drivers.create(model, wish),
      admit: (managed, signal) => this.#admit(managed, signal),
      createServer: (definition, managed) => this.#createServer(definition, managed),
      slotOf: (name) => (memories.has(name) ? memories.get(name).slot : null),
      replaced: ({ server }) => options.replaced(server),
      onChange,
      onDropped: (name) => memories.forget(name),
      clock,
      logger,
    });
    this.rollouts = new Rollouts({
      servers: this.servers,
      memories,
      pin: (model) => this.#drivers.pin(model),
      isThere: (version) => this.#isThere(version),
      isTraining: options.isTraining,
      roomFor: (managed, slot) => this.#roomFor(managed, slot),
      observer,
      onChange,
      clock,
      logger,
    });
    this.#reaper = new Reaper({
      intervalMs: () => config().ripper.interval,
      models: () => this.servers.all.map((each) => this.#mortalOf(each)),
      reap: (reap) => this.#reap(reap),
      observer,
      clock,
      logger,
    });
  }

  /** Takes over what an earlier sidecar left running; ends what nothing names any more. */
  async start(): Promise<void> {
    this.#memories.read();
    this.#reaper.start();
    await this.#drivers.look();
    this.refresh();
    await this.#drivers.endStrangers((name, slot) => {
      const model = this.servers.get(name)?.model;
      return model !== undefined && this.#drivers.placeOf(model) === "process" && this.servers.slots(name).has(slot);
    });
  }

  /** @param leave says of each process, when its end has come, whether it is left running */
  async stop(deadlineMs: number, leave: (server: ModelServer) => Promise<boolean>): Promise<void> {
    this.#starts.close();
    this.rollouts.close();
    await Promise.all([this.#reaper.stop(), this.servers.stop(deadlineMs, leave), this.#drivers.stop()]);
  }

  /** To be called when what is stored or configured has changed. */
  refresh(): void {
    const { store, config } = this.#options;
    this.servers.follow(
      joinDefinitions({
        config: config(),
        deployments: store?.deployments() ?? [],
        onDemand: store?.configs(false) ?? [],
        taken: this.#taken,
      }),
    );
    this.#starts.look();
  }

  /**
   * Docker was looked at.
   * @param others running servers that somebody else runs
   * @param own containers that Sluice, or CogStack Model Gateway before it, has started
   */
  async found(others: ReadonlySet<string>, own: readonly ManagedContainer[]): Promise<void> {
    this.#drivers.daemonAnswered();
    const isSame = others.size === this.#taken.size && [...others].every((name) => this.#taken.has(name));
    this.#taken = others;
    const rows = own.filter((each) => this.servers.get(each.name) === undefined).flatMap((each) => adoptedRow(each));
    for (const row of rows) await this.#keep(row);
    if (!isSame || rows.length > 0) this.refresh();
    for (const { name, slot, state } of own) if (state === "running") this.servers.adopt(name, slot);
  }

  async #keep(row: Deployment): Promise<void> {
    if (this.#options.store === null || this.#isForgotten(row.name)) return;
    await this.#options.store.putDeployment(row);
    this.#options.logger.info(
      { event: "deployment_adopted", model: row.name },
      "a container of ours that nothing named is kept as a deployment",
    );
  }

  #isForgotten(name: string): boolean {
    const now = this.#options.clock.elapsed();
    for (const [each, untilMs] of this.#forgottenUntil) if (untilMs <= now) this.#forgottenUntil.delete(each);
    return this.#forgottenUntil.has(name);
  }

  /** To be called after a server has changed, before the change is told. */
  settle(): void {
    for (const managed of this.servers.all) this.#noteReady(managed);
    this.servers.settle();
    this.#starts.look();
    this.rollouts.look();
  }

  #noteReady(managed: Managed): void {
    const { name, state } = managed.server;
    if (state === "ready" && !this.#readySinceMs.has(name)) this.#readySinceMs.set(name, this.#options.clock.elapsed());
    if (state === "ready") this.rollouts.ready(managed);
    if (state === "absent" || state === "failed") this.#readySinceMs.delete(name);
  }

  /** To be called when the last hold on a model has ended. */
  freed(name: string): void {
    this.#reaper.freed(name);
    this.#starts.look();
    this.rollouts.look();
  }

  /** Looks for expired models now. */
  reapNow(): void {
    this.#reaper.round();
  }

  #createServer(definition: ServerDefinition, managed: ManagedServer): ModelServer {
    const { createServer, config, observer } = this.#options;
    const { name } = definition;
    const configuredMs = () => config().models.deployment.auto.health_check_timeout;
    return createServer({
      definition,
      driver: managed.driver,
      startable: () => managed.next !== null,
      startTimeoutMs: () => this.times?.boundMs(name, configuredMs()) ?? configuredMs(),
      onStarted: (tookMs) => {
        this.times?.record(name, managed.model.modelUri, tookMs);
        observer.started(name, tookMs);
      },
      onFailed: (why) => !managed.isBeside && this.rollouts.startFailed(managed, why),
    });
  }

  /** First the limits: nothing makes room for a start that will be refused. */
  async #admit(managed: ManagedServer, signal: AbortSignal): Promise<void> {
    const model = managed.next ?? managed.model;
    checkLimits(model.deploy);
    const needBytes = needOf(model, this.#options.config());
    if (!managed.isBeside) return this.#starts.admit(model.name, needBytes, signal);
    if (!this.#starts.admitNow(placeName(model.name, managed.slot), needBytes)) {
      throw new StartRefused("there is no room for it beside the present server");
    }
  }

  #isThere({ modelUri }: Pin): boolean {
    try {
      return this.#options.packages.pin(modelUri) !== null;
    } catch {
      return false;
    }
  }

  #roomFor({ model, driver }: Managed, slot: number): Room {
    const config = this.#options.config();
    if (!canStandBeside(model, driver.place, config)) return { kind: "alone" };
    const [name, needBytes] = [placeName(model.name, slot), needOf(model, config)];
    const verdict = this.#starts.verdictFor(name, needBytes);
    if (verdict.do === "start") return { kind: "beside" };
    const limits = { ...admissionLimits(config), maxStarts: null };
    const isOnlyBusy = this.#starts.verdictFor(name, needBytes, limits).do === "start";
    return isOnlyBusy && verdict.do === "wait" ? { kind: "later", why: verdict.problem } : { kind: "alone" };
  }

  /** Null while it is held, or does not run. */
  #idleMs(server: ModelServer): number | null {
    const { clock, idleSinceMs } = this.#options;
    const readySinceMs = this.#readySinceMs.get(server.name);
    if (readySinceMs === undefined || server.isHeld) return null;
    return clock.elapsed() - Math.max(readySinceMs, idleSinceMs(server.name) ?? 0);
  }

  #residents(): Resident[] {
    const { all, others } = this.servers;
    const former = new Set(this.servers.formers.all);
    const beside = others.map((each) => {
      const resident = this.#residentOf(each);
      const name = placeName(each.server.name, each.slot);
      return resident && { ...resident, name, idleMs: null, isLeaving: former.has(each) };
    });
    return [...all.map((each) => this.#residentOf(each)), ...beside].filter((each) => each !== null);
  }

  #residentOf({ server, model }: Managed): Resident | null {
    const { state } = server;
    if (!IS_UP.has(state)) return null;
    const isSettled = state === "ready" || state === "unreachable";
    return {
      name: server.name,
      needBytes: needOf(model, this.#options.config()),
      isStarting: state === "starting" && !server.wasFound,
      isLeaving: state === "draining",
      idleMs: isSettled ? this.#idleMs(server) : null,
    };
  }

  #mortalOf({ server, model }: Managed): Mortal {
    const { deploymentType, idleTtlMs, expiresAtMs } = model;
    const { name, state } = server;
    const isRunning = state === "ready" || state === "unreachable";
    // Whether it is held is read from the database: not asked where it decides nothing.
    const isHeld = (isRunning || expiresAtMs !== null) && server.isHeld;
    return { name, deploymentType, isRunning, isHeld, idleMs: this.#idleMs(server), idleTtlMs, expiresAtMs };
  }

  /** A deployment that is past its time is forgotten; what is on demand is only stopped. */
  async #reap({ name }: Reap): Promise<boolean> {
    const managed = this.servers.get(name);
    if ((await this.servers.stopWhenIdle(name, REAP_WAIT_MS)) === "held") return false;
    if (managed?.model.origin === "deployment") await this.forget(name);
    return true;
  }

  /** Removes the row of a deployment, and with it a server that is down. */
  async forget(name: string): Promise<void> {
    // A look at Docker that began before must not bring it back.
    this.#forgottenUntil.set(name, this.#options.clock.elapsed() + FORGOTTEN_MS);
    await this.#options.store?.removeDeployment(name);
    this.refresh();
  }
}

/** What its labels say; none of a container that has ended and that nobody would miss. */
function adoptedRow({
  name,
  modelUri,
  deploymentType,
  ttlSeconds,
  createdAtMs,
  state,
}: ManagedContainer): Deployment[] {
  const isManual = deploymentType === "manual";
  if (state === "removing" || (!isManual && !["running", "paused", "restarting"].includes(state))) return [];
  const ttl = ttlSeconds === null || ttlSeconds === -1 ? null : Math.max(1, ttlSeconds);
  const times = { ttlSeconds: isManual ? ttl : null, idleTtlSeconds: isManual ? null : ttl };
  return [{ name, deploymentType, modelUri, modelType: null, trackingId: null, ...times, deploy: null, createdAtMs }];
}

function admissionLimits({ models }: Config): AdmissionLimits {
  const { auto, memory, never_together } = models.deployment;
  return {
    maxStarts: auto.max_concurrent_deployments,
    budgetBytes: memory.budget,
    neverTogether: never_together,
  };
}

/** The memory a server is counted with. */
function needOf({ deploy }: ManagedModel, { models }: Config): number {
  const { memoryBytes, reservedMemoryBytes } = limitsOf(deploy);
  return memoryBytes ?? reservedMemoryBytes ?? models.deployment.memory.default ?? 0;
}

/** How a server that is not the present one of its model is called among the starts. */
function placeName(model: string, slot: number): string {
  return `${model} in place ${slot}`;
}

/** Whether two servers of it could run, were there room for both: nobody else has its port, its address or its graphics card. */
function canStandBeside(model: ManagedModel, place: PlacedDriver["place"] | null, config: Config): boolean {
  const { never_together, use_ip_addresses } = config.models.deployment;
  if (never_together.some((group) => group.includes(model.name))) return false;
  if (place === "process") return processOf(model, config)?.port === 0;
  return config.cms.host_url === "" || use_ip_addresses;
}
