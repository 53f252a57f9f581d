/** What operators do with models: deploys, removes, starts and stops them. Joins the parts; each of them owns its own state. */
import type { Readable } from "node:stream";
import { SluiceError } from "../../core/contract/errors.js";
import type { Deployed, DeployRequest, ModelEvent } from "../../core/contract/model-management.js";
import { MODEL_NAME, type ModelEntry, unavailableMessage } from "../../core/contract/models.js";
import type { Clock } from "../../core/runtime/clock.js";
import { failpoint } from "../../core/runtime/failpoints.js";
import type { Logger } from "../../core/runtime/logger.js";
import type { ManagedModels } from "./managed-models.js";
import type { Managed } from "./managed-servers.js";
import type { LogOptions, ModelFacts, ModelManagement, OnDemandConfigs } from "./management.js";
import type { ManagedCatalogue } from "./model-catalogue.js";
import type { Deployment, ModelStore } from "./model-store.js";
import { watchModels } from "./model-watch.js";
import type { ModelServer } from "./server.js";

export interface ModelManagementOptions {
  readonly catalogue: ManagedCatalogue;
  readonly store: ModelStore;
  readonly onDemand: OnDemandConfigs & { onChange(listener: () => void): () => void };
  /** Checks a request and says what it comes to. @throws as {@link ModelManagement.deploy} */
  readonly plan: (name: string, request: DeployRequest, isTaken: (name: string) => boolean) => Promise<Deployment>;
  /** A deployment's program runs. */
  readonly onDeployed: (name: string, modelUri: string) => void;
  /** `models.deployment.auto.health_check_timeout` */
  readonly startTimeoutMs: () => number;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** How long a removal waits for what holds the model, and a stop that is not told how long. */
const HELD_WAIT_MS = 30_000;
/** How long an answer waits until every proxy knows of the change, so that whoever is told of a model finds it. */
const FOLLOWED_WAIT_MS = 2_000;

export function createModelManagement(options: ModelManagementOptions): ModelManagement {
  return new Management(options);
}

class Management implements ModelManagement {
  readonly onDemand: OnDemandConfigs;
  readonly #options: ModelManagementOptions;
  readonly #managed: ManagedModels;
  /** Names that are being deployed or removed now: one at a time. */
  readonly #busy = new Set<string>();

  constructor(options: ModelManagementOptions) {
    this.#options = options;
    this.#managed = options.catalogue.managed;
    const { onDemand } = options;
    onDemand.onChange(() => this.#managed.refresh());
    this.onDemand = {
      ...onDemand,
      create: (request) => this.#followed(onDemand.create(request)),
      update: (name, request) => this.#followed(onDemand.update(name, request)),
      disable: (name) => this.#followed(onDemand.disable(name)),
      enable: (id) => this.#followed(onDemand.enable(id)),
    };
  }

  async #followed<Value>(change: Promise<Value>): Promise<Value> {
    const value = await change;
    await this.#options.catalogue.presence.whenFollowed(FOLLOWED_WAIT_MS);
    return value;
  }

  async deploy(name: string, request: DeployRequest): Promise<Deployed> {
    const row = await this.#options.plan(name, request, (each) => this.#isTaken(each));
    // Another deployment of that name may have begun while MLflow was asked.
    if (this.#isTaken(name)) throw alreadyRunning(name);
    return this.#alone(name, () => this.#followed(this.#deploy(row)));
  }

  #isTaken(name: string): boolean {
    const entry = this.#options.catalogue.get(name);
    const isConfigured = entry?.source === "static" || this.#managed.servers.get(name)?.model.origin === "config";
    return this.#busy.has(name) || isConfigured || (entry !== undefined && !["absent", "failed"].includes(entry.state));
  }

  async #alone<T>(name: string, action: () => Promise<T>): Promise<T> {
    if (this.#busy.has(name)) throw alreadyRunning(name);
    this.#busy.add(name);
    try {
      return await action();
    } finally {
      this.#busy.delete(name);
    }
  }

  /** The row is durable before anything is started: whatever runs after a crash is known. */
  async #deploy(row: Deployment): Promise<Deployed> {
    const { store, onDeployed } = this.#options;
    const earlier = store.deployment(row.name);
    await store.putDeployment(row);
    failpoint("deploy.after_row");
    this.#managed.refresh();
    try {
      const entry = await this.#launch(row.name);
      onDeployed(row.name, row.modelUri ?? "");
      return {
        message: `Model '${row.name}' deployed successfully`,
        // Of the registry's model, the version that runs now.
        model_uri: entry.modelUri ?? row.modelUri ?? "",
        container_id: entry.serverId!,
        container_name: row.name,
        ttl: row.ttlSeconds ?? -1,
      };
    } catch (cause) {
      // What cannot be taken back now must not hide why: it stays a deployment, and can be removed.
      await this.#takeBack(row.name, earlier).catch((failed: unknown) =>
        this.#options.logger.error({ model: row.name, err: failed }, "a failed deployment cannot be taken back"),
      );
      const words = cause instanceof SluiceError ? cause.message : `Model '${row.name}' could not be started.`;
      throw new SluiceError("DEPLOY_FAILED", words, { cause });
    }
  }

  async #takeBack(name: string, earlier: Deployment | null): Promise<void> {
    await this.#managed.servers.stopWhenIdle(name, 0);
    if (earlier === null) return this.#managed.forget(name);
    await this.#options.store.putDeployment(earlier);
    this.#managed.refresh();
  }

  /** Resolves when its program runs, ready or not. @throws MODEL_START_FAILED, MODEL_NOT_READY when it waits for its turn too long */
  async #launch(name: string): Promise<ModelEntry> {
    const { catalogue, startTimeoutMs } = this.#options;
    const over = new AbortController();
    const ready = catalogue.ensureReady(name, startTimeoutMs(), over.signal);
    try {
      return await new Promise<ModelEntry>((resolve, reject) => {
        const look = () => {
          const entry = catalogue.get(name);
          if (entry?.serverId !== undefined) resolve(entry);
        };
        over.signal.addEventListener("abort", catalogue.onChange(look), { once: true });
        ready.then(resolve, reject);
        look();
      });
    } finally {
      // Whoever asked for the deployment does not wait for its readiness.
      over.abort();
    }
  }

  async remove(name: string, force: boolean): Promise<void> {
    if (!MODEL_NAME.test(name)) throw new SluiceError("MODEL_NAME_INVALID", "Invalid model name");
    await this.#alone(name, () => this.#followed(this.#remove(name, force)));
  }

  async #remove(name: string, force: boolean): Promise<void> {
    const managed = this.#managed.servers.get(name);
    await managed?.begun;
    if (managed === undefined) return this.#removeOther(name, force);
    const isDown = ["absent", "failed"].includes(managed.server.entry.state);
    if (isDown && !force) throw this.#options.store.deployment(name) === null ? onlyOnDemand(name) : notRunning(name);
    await this.#stop(name, HELD_WAIT_MS);
    failpoint("remove.after_stop");
    if (this.#options.store.deployment(name) !== null) await this.#managed.forget(name);
  }

  /** One that Sluice did not start: a container of the project may be removed all the same. */
  async #removeOther(name: string, force: boolean): Promise<void> {
    const { containers } = this.#options.catalogue;
    const server = await this.#drainOther(name);
    let outcome: "removed" | "down" | "unknown" | null = null;
    try {
      const canAsk = server !== undefined || (await containers.isAnswering());
      outcome = canAsk ? await containers.remove(name, force) : "unknown";
    } finally {
      // It is drained and still there: it may be used again.
      if (outcome !== "removed") void server?.begin();
    }
    if (outcome === "down") throw notRunning(name);
    if (outcome === "unknown" && !force) throw this.#unknown(name);
  }

  /** Undefined where no server of that name is seen: one that vanishes while it is waited for is held by nobody. */
  async #drainOther(name: string): Promise<ModelServer | undefined> {
    const { catalogue, clock } = this.#options;
    const untilMs = clock.elapsed() + HELD_WAIT_MS;
    for (;;) {
      const server = catalogue.server(name);
      if (server === undefined) return undefined;
      if (server.entry.source === "static") throw notManaged(name);
      if ((await server.stopWhenIdle(Math.max(0, untilMs - clock.elapsed()))) === "stopped") return server;
      if (!server.isClosed) throw inUse(name, HELD_WAIT_MS);
    }
  }

  start(name: string): ModelEntry {
    const { catalogue, logger, startTimeoutMs } = this.#options;
    const { server } = this.#known(name);
    this.#managed.rollouts.retry(server.name);
    catalogue.ensureReady(name, startTimeoutMs()).catch((cause: unknown) => {
      logger.debug({ model: name, err: cause }, "a start that an operator asked for has not led to a ready server");
    });
    return server.entry;
  }

  async stop(name: string, waitMs: number = HELD_WAIT_MS): Promise<ModelEntry> {
    const { server } = this.#known(name);
    await this.#stop(server.name, waitMs);
    return server.entry;
  }

  /** @throws MODEL_IN_USE, DOCKER_UNAVAILABLE, DEPLOY_FAILED when its driver refuses */
  async #stop(name: string, waitMs: number): Promise<void> {
    if ((await this.#managed.servers.stopWhenIdle(name, waitMs)) === "held") throw inUse(name, waitMs);
  }

  logs(name: string, options: LogOptions): Promise<Readable> {
    return this.#known(name).driver.logs(options);
  }

  watch(name: string | null, listener: (event: ModelEvent) => void): () => void {
    const { catalogue, clock } = this.#options;
    const startedForMs = (each: string) => this.#managed.servers.get(each)?.server.launchedForMs ?? null;
    const longestStartMs = (each: string) => this.#managed.times?.longestMs(each) ?? null;
    return watchModels({ catalogue, clock, startedForMs, longestStartMs }, name, listener);
  }

  facts(name: string): ModelFacts | null {
    const model = this.#managed.servers.get(name)?.model;
    if (model === undefined) return null;
    const { deploymentType, description, idleTtlMs, expiresAtMs } = model;
    const idleTtlSeconds = idleTtlMs === null ? null : idleTtlMs / 1_000;
    return { deploymentType, description, idleTtlSeconds, expiresAtMs, rollout: this.#managed.rollouts.state(name) };
  }

  /** @throws MODEL_UNKNOWN, MODEL_NOT_MANAGED */
  #known(nameOrAddress: string): Managed {
    const entry = this.#options.catalogue.get(nameOrAddress);
    if (entry === undefined) throw this.#unknown(nameOrAddress);
    const managed = this.#managed.servers.get(entry.name);
    if (managed === undefined) throw notManaged(entry.name);
    return managed;
  }

  #unknown(name: string): SluiceError {
    return new SluiceError("MODEL_UNKNOWN", unavailableMessage(name, this.#options.catalogue.list()));
  }
}

function inUse(name: string, waitMs: number): SluiceError {
  const seconds = waitMs / 1_000;
  return new SluiceError("MODEL_IN_USE", `Model '${name}' is in use and has not become free within ${seconds} s`);
}

function alreadyRunning(name: string): SluiceError {
  return new SluiceError("MODEL_ALREADY_RUNNING", `Model '${name}' is already running`);
}

function notManaged(name: string): SluiceError {
  return new SluiceError("MODEL_NOT_MANAGED", `Model '${name}' is run by somebody else`);
}

/** Its configuration is not what is removed here, with force or without. */
function onlyOnDemand(name: string): SluiceError {
  const hint = "A request may start it: disable its on-demand configuration, or take it out of discovery, to end that.";
  return new SluiceError("MODEL_UNKNOWN", `Model '${name}' is not running; there is nothing to remove, even by force`, {
    hint,
  });
}

function notRunning(name: string): SluiceError {
  const hint = "DELETE it with ?force=true to forget it all the same.";
  return new SluiceError("MODEL_UNKNOWN", `Model '${name}' is not running; force removes it all the same`, { hint });
}
