/** The catalogue: all sources under one list of names, and the leases on them. */
import type { Config } from "../../config/schema.js";
import { SluiceError } from "../../core/contract/errors.js";
import { type ModelEntry, unavailableMessage } from "../../core/contract/models.js";
import type { Clock } from "../../core/runtime/clock.js";
import type { HttpClient } from "../../core/runtime/http.js";
import type { Logger } from "../../core/runtime/logger.js";
import type { ModelNeed } from "../tasks/store.js";
import type { ModelCatalogue } from "./catalogue.js";
import { DockerDiscovery } from "./discovery/docker.js";
import { findStatic } from "./discovery/static.js";
import type { ServerDriver } from "./drivers/driver.js";
import { Leases } from "./leases.js";
import type { LifeRules } from "./lifecycle.js";
import { type Merged, mergeModels } from "./merge.js";
import { Presence } from "./presence.js";
import { ProcessServers } from "./process-servers.js";
import { ModelServer, type ServerDefinition } from "./server.js";
import { WatchedServers } from "./watched-servers.js";

export interface CatalogueOptions {
  readonly config: Config;
  readonly dataDir: string;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly http: HttpClient;
  /** What of a model's tasks is not final. Default: nothing ever is. */
  readonly needOf?: (model: string) => ModelNeed;
}

export interface ManagedCatalogue extends ModelCatalogue {
  readonly presence: Presence;
  /** Resolves once every source is being watched; a Docker daemon that is away is not waited for. */
  start(): Promise<void>;
  /**
   * Stops one of our own servers at the first moment at which nothing holds it: no lease, no task, no proxy.
   * @param waitMs how long to wait for that moment
   * @throws MODEL_UNKNOWN, MODEL_NOT_MANAGED, SHUTTING_DOWN
   */
  stopModel(nameOrAddress: string, waitMs: number): Promise<"stopped" | "held">;
  /**
   * Ends the processes we started and stops watching the rest. What is held is waited for until the deadline; what is held then, or at
   * an accepted training, is left running and found again by the next start. Idempotent. Call it while proxies can still reach us.
   */
  stop(deadlineMs: number): Promise<void>;
  /** Takes over static models, process models, probe intervals and concurrency of a new configuration; what did not change is left alone. */
  reconfigure(config: Config): void;
  /** Resolves when each static model of the configuration at start has been checked once. */
  readonly allFirstRoundDone: Promise<void>;
  /** How many leases a model has, and since when it has none (epoch ms; null while held or never held). */
  use(name: string): { readonly leases: number; readonly idleSince: number | null };
}

export function createModelCatalogue(options: CatalogueOptions): ManagedCatalogue {
  return new Catalogue(options);
}

class Catalogue implements ManagedCatalogue {
  readonly allFirstRoundDone: Promise<void>;
  readonly #options: CatalogueOptions;
  readonly #leases: Leases;
  readonly #static: WatchedServers;
  readonly #docker: WatchedServers;
  readonly #process: ProcessServers;
  readonly #dockerDiscovery: DockerDiscovery;
  readonly presence: Presence;
  readonly #listeners = new Set<(models: ModelEntry[]) => void>();
  readonly #clashesTold = new Set<string>();
  #config: Config;
  #firstRoundDone: () => void = () => {};
  #merged: Merged | null = null;
  #published = "";
  #isPublishing = false;
  #stopped: Promise<void> | undefined;

  constructor(options: CatalogueOptions) {
    this.#options = options;
    this.#config = options.config;
    this.allFirstRoundDone = new Promise((resolve) => {
      this.#firstRoundDone = resolve;
    });
    this.#leases = new Leases(options.clock, (name) => this.#server(name)?.leasesEnded());
    this.presence = new Presence({
      clock: options.clock,
      take: (name, holder) => this.lease(name, holder),
      onFree: () => {
        for (const server of this.#process.servers) server.leasesEnded();
      },
    });
    const onChange = () => this.#changed();
    const create = (definition: ServerDefinition) => this.#create(definition, null);
    this.#static = new WatchedServers({ create, onChange });
    this.#docker = new WatchedServers({ create, onChange });
    const { dataDir, clock, logger } = options;
    this.#process = new ProcessServers({
      dataDir,
      clock,
      logger,
      onChange,
      create: (...made) => this.#create(...made),
    });
    this.#dockerDiscovery = new DockerDiscovery({
      config: options.config,
      clock,
      logger,
      onFound: (found) => this.#docker.follow(found),
      onAway: () => {
        for (const server of this.#docker.servers) server.checkNow();
      },
    });
  }

  async start(): Promise<void> {
    await this.#process.start(this.#config);
    this.#static.follow(findStatic(this.#config));
    void Promise.all(this.#static.servers.map((server) => server.firstCheck)).then(() => this.#firstRoundDone());
    this.#dockerDiscovery.start();
  }

  stop(deadlineMs: number): Promise<void> {
    this.#stopped ??= this.#stop(deadlineMs);
    return this.#stopped;
  }

  async #stop(deadlineMs: number): Promise<void> {
    this.#dockerDiscovery.stop();
    this.#firstRoundDone();
    this.presence.end();
    // What proxies are told now is what they go on with: the others' servers are still there in it.
    await this.#process.stop(deadlineMs, (server) => this.#leave(server, deadlineMs));
    this.#static.close();
    this.#docker.close();
    this.presence.stop();
    this.#listeners.clear();
  }

  async #leave(server: ModelServer, deadlineMs: number): Promise<boolean> {
    const { clock, logger } = this.#options;
    const why = () => decideLeaving(this.#needOf(server), this.#leases.count(server.name));
    if (["absent", "failed"].includes(server.entry.state)) return false;
    if (this.#needOf(server) !== "under-way")
      await server.stopWhenIdle(Math.max(LAST_WORD_MS, deadlineMs - clock.now()));
    if (["absent", "failed"].includes(server.entry.state)) return false;
    const reason = why();
    if (reason === null) return false;
    const { name } = server;
    logger.warn({ event: "model_left_running", model: name, reason }, "a model server that is in use is left running");
    return true;
  }

  reconfigure(config: Config): void {
    this.#config = config;
    this.#static.follow(findStatic(config));
    this.#process.reconfigure(config);
  }

  list(): ModelEntry[] {
    return this.#merge().models;
  }

  get(nameOrAddress: string): ModelEntry | undefined {
    const models = this.list();
    return models.find(({ name }) => name === nameOrAddress) ?? models.find(({ address }) => address === nameOrAddress);
  }

  async ensureReady(nameOrAddress: string, waitMs: number, signal?: AbortSignal): Promise<ModelEntry> {
    const until = Date.now() + waitMs;
    for (;;) {
      const server = this.#find(nameOrAddress);
      try {
        return await server.ensureReady(Math.max(0, until - Date.now()), signal);
      } catch (caught) {
        // Replaced by one at another place, or by the same container started anew: that one serves who waits.
        if (!server.isClosed || this.#stopped !== undefined) throw caught;
      }
    }
  }

  /** @throws SHUTTING_DOWN, MODEL_UNKNOWN */
  #find(nameOrAddress: string): ModelServer {
    if (this.#stopped !== undefined) throw new SluiceError("SHUTTING_DOWN", "Sluice is stopping");
    const entry = this.get(nameOrAddress);
    const server = entry === undefined ? undefined : this.#server(entry.name);
    if (server === undefined) throw new SluiceError("MODEL_UNKNOWN", unavailableMessage(nameOrAddress, this.list()));
    return server;
  }

  onChange(listener: (models: ModelEntry[]) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  lease(name: string, holder: string): () => void {
    return this.#leases.take(this.get(name)?.name ?? name, holder);
  }

  use(name: string): { leases: number; idleSince: number | null } {
    return { leases: this.#leases.count(name), idleSince: this.#leases.idleSince(name) };
  }

  /** The server behind a name in the merged list. */
  #server(name: string): ModelServer | undefined {
    return this.#sources()
      .flat()
      .find((server) => server.name === name);
  }

  /** The stronger first. */
  #sources(): ModelServer[][] {
    return [this.#static.servers, this.#process.servers, this.#docker.servers];
  }

  /** Asked many times a second and changed rarely: kept until something changes. */
  #merge(): Merged {
    this.#merged ??= mergeModels(this.#sources().map((servers) => servers.map((server) => server.entry)));
    return this.#merged;
  }

  async stopModel(nameOrAddress: string, waitMs: number): Promise<"stopped" | "held"> {
    const server = this.#find(nameOrAddress);
    if (!this.#process.servers.includes(server)) {
      throw new SluiceError("MODEL_NOT_MANAGED", `Model '${server.name}' is run by somebody else.`);
    }
    return server.stopWhenIdle(waitMs);
  }

  /** The one place where it is decided that nothing may stop a model (promise 4). */
  #isHeld(server: ModelServer): boolean {
    const { name } = server;
    if (this.#leases.count(name) > 0 || this.presence.isAwaited(name)) return true;
    const need = this.#needOf(server);
    // At our own end tasks wait for the next start; whom we do not see then is not waited for.
    if (this.#stopped !== undefined) return need === "under-way";
    return need !== null || this.presence.isBlind(server.wasFound);
  }

  /** A task may name its model by address. A store that cannot be read may hold anything. */
  #needOf({ name, entry: { address } }: ModelServer): ModelNeed {
    const needOf = this.#options.needOf ?? (() => null);
    try {
      const needs = [needOf(name), address === null ? null : needOf(address)];
      return needs.find((each) => each === "under-way") ?? needs.find((each) => each !== null) ?? null;
    } catch {
      return "under-way";
    }
  }

  #create(definition: ServerDefinition, driver: ServerDriver | null): ModelServer {
    const { clock, http, logger } = this.#options;
    const server: ModelServer = new ModelServer({
      definition,
      driver,
      clock,
      http,
      logger,
      rules: () => lifeRules(this.#config, driver !== null),
      onChange: () => this.#changed(),
      isHeld: () => this.#isHeld(server),
      onDrain: () => this.presence.announceDrain(definition.name),
    });
    return server;
  }

  /** Changes of one turn of the event loop are published together, before anybody who waited for them goes on. */
  #changed(): void {
    this.#merged = null;
    if (this.#isPublishing || this.#stopped !== undefined) return;
    this.#isPublishing = true;
    queueMicrotask(() => this.#publish());
  }

  #publish(): void {
    this.#isPublishing = false;
    const { models, clashes } = this.#merge();
    for (const { name, source } of clashes) this.#tellClash(name, source);
    const published = JSON.stringify(models);
    if (published === this.#published) return;
    this.#published = published;
    for (const listener of this.#listeners) listener(models);
  }

  #tellClash(name: string, source: string): void {
    const key = `${source} ${name}`;
    if (this.#clashesTold.has(key)) return;
    this.#clashesTold.add(key);
    this.#options.logger.warn({ model: name, source }, "two models have one name; this source's is left out");
  }
}

/** At the deadline proxies still get this long to say that they use a model no more. */
const LAST_WORD_MS = 1_000;

/** Why a server outlives this sidecar, for the log; null: it does not. */
function decideLeaving(need: ModelNeed, leases: number): string | null {
  if (need === "under-way") return "a training or another task is under way on it";
  return leases > 0 ? "requests are open on it" : null;
}

function lifeRules(config: Config, startable: boolean): LifeRules {
  const { auto } = config.models.deployment;
  return {
    startable,
    startTimeoutMs: auto.health_check_timeout,
    retryAttempts: auto.deployment_retry_attempts,
    probeIntervalMs: config.discovery.probe_interval,
    recheckIntervalMs: config.discovery.recheck_interval,
  };
}
