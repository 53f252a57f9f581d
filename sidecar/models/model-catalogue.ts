/** The catalogue: all sources under one list of names, and the leases on them. */
import type { Config } from "../../config/schema.js";
import { SluiceError } from "../../core/contract/errors.js";
import { type ModelEntry, unavailableMessage } from "../../core/contract/models.js";
import type { Clock } from "../../core/runtime/clock.js";
import type { HttpClient } from "../../core/runtime/http.js";
import type { Logger } from "../../core/runtime/logger.js";
import type { ModelCatalogue } from "./catalogue.js";
import { DockerDiscovery } from "./discovery/docker.js";
import { findStatic } from "./discovery/static.js";
import { Leases } from "./leases.js";
import type { LifeRules } from "./lifecycle.js";
import { ManagedModels, type ManagedServerParts } from "./managed-models.js";
import type { ModelObserver } from "./model-metrics.js";
import type { ModelStore } from "./model-store.js";
import { PublishedModels } from "./published-models.js";
import { ModelServer, type ModelServerOptions, type ServerDefinition } from "./server.js";
import { WatchedServers } from "./watched-servers.js";

export interface CatalogueOptions {
  readonly config: Config;
  /** Default: the configuration alone names models. */
  readonly store?: ModelStore;
  /** Default: nothing is counted. */
  readonly observer?: ModelObserver;
  readonly dataDir: string;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly http: HttpClient;
}

export interface ManagedCatalogue extends ModelCatalogue {
  /** The models that Sluice itself starts and stops. */
  readonly managed: ManagedModels;
  /** Resolves once every source is being watched; a Docker daemon that is away is not waited for. */
  start(): Promise<void>;
  /** Stops watching and ends the processes we started. Idempotent. */
  stop(deadlineMs: number): Promise<void>;
  /** Takes over static models, process models, probe intervals and concurrency of a new configuration; what did not change is left alone. */
  reconfigure(config: Config): void;
  /** Resolves when each static model of the configuration at start has been checked once. */
  readonly allFirstRoundDone: Promise<void>;
  /** How many leases a model has, and since when it has none (epoch ms; null while held or never held). */
  use(name: string): { readonly leases: number; readonly idleSince: number | null };
}

const UNOBSERVED: ModelObserver = { checked: () => {}, reaped: () => {}, started: () => {} };

export function createModelCatalogue(options: CatalogueOptions): ManagedCatalogue {
  return new Catalogue(options);
}

class Catalogue implements ManagedCatalogue {
  readonly allFirstRoundDone: Promise<void>;
  readonly managed: ManagedModels;
  readonly #options: CatalogueOptions;
  readonly #leases: Leases;
  readonly #static: WatchedServers;
  readonly #docker: WatchedServers;
  readonly #dockerDiscovery: DockerDiscovery;
  readonly #published: PublishedModels;
  #config: Config;
  #firstRoundDone: () => void = () => {};
  #stopped: Promise<void> | undefined;

  constructor(options: CatalogueOptions) {
    this.#options = options;
    this.#config = options.config;
    this.allFirstRoundDone = new Promise((resolve) => {
      this.#firstRoundDone = resolve;
    });
    const { dataDir, clock, logger } = options;
    this.#leases = new Leases(clock, (name) => this.#freed(name));
    this.#published = new PublishedModels({
      sources: () => [this.#static.servers, this.managed.servers.servers, this.#docker.servers],
      settle: () => this.managed.settle(),
      logger,
    });
    const onChange = () => this.#published.changed();
    const create = (definition: ServerDefinition) => this.#create({ definition, driver: null });
    this.#static = new WatchedServers({ create, onChange });
    this.#docker = new WatchedServers({ create, onChange });
    this.managed = new ManagedModels({
      config: () => this.#config,
      store: options.store ?? null,
      dataDir,
      containers: null,
      createServer: (parts) => this.#create(parts),
      idleSince: (name) => this.#leases.idleSince(name),
      onChange,
      observer: options.observer ?? UNOBSERVED,
      clock,
      logger,
    });
    this.#dockerDiscovery = new DockerDiscovery({
      config: options.config,
      clock,
      logger,
      onFound: (found) => {
        this.#docker.follow(found);
        this.managed.foundOthers(new Set(found.map(({ definition }) => definition.name)));
      },
      onAway: () => {
        for (const server of this.#docker.servers) server.checkNow();
      },
    });
  }

  async start(): Promise<void> {
    await this.managed.start();
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
    this.#static.close();
    this.#docker.close();
    this.#firstRoundDone();
    this.#published.close();
    await this.managed.stop(deadlineMs);
  }

  reconfigure(config: Config): void {
    this.#config = config;
    this.#static.follow(findStatic(config));
    this.managed.refresh();
  }

  list(): ModelEntry[] {
    return this.#published.list();
  }

  get(nameOrAddress: string): ModelEntry | undefined {
    return this.#published.get(nameOrAddress);
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
    const server = entry === undefined ? undefined : this.#published.server(entry.name);
    if (server === undefined) throw new SluiceError("MODEL_UNKNOWN", unavailableMessage(nameOrAddress, this.list()));
    return server;
  }

  onChange(listener: (models: ModelEntry[]) => void): () => void {
    return this.#published.onChange(listener);
  }

  lease(name: string, holder: string): () => void {
    return this.#leases.take(this.get(name)?.name ?? name, holder);
  }

  use(name: string): { leases: number; idleSince: number | null } {
    return { leases: this.#leases.count(name), idleSince: this.#leases.idleSince(name) };
  }

  #freed(name: string): void {
    this.#published.server(name)?.leasesEnded();
    this.managed.freed(name);
  }

  #create(
    given: Pick<ModelServerOptions, "definition" | "driver"> & Partial<Omit<ManagedServerParts, "driver">>,
  ): ModelServer {
    const { clock, http, logger } = this.#options;
    const { definition, driver, startable = () => false, startTimeoutMs = () => 0, onStarted = () => {} } = given;
    return new ModelServer({
      definition,
      driver,
      clock,
      http,
      logger,
      rules: () => lifeRules(this.#config, startable(), startTimeoutMs()),
      onChange: () => this.#published.changed(),
      isHeld: () => this.#leases.count(definition.name) > 0,
      onStarted,
    });
  }
}

function lifeRules(config: Config, startable: boolean, startTimeoutMs: number): LifeRules {
  return {
    startable,
    startTimeoutMs,
    retryAttempts: config.models.deployment.auto.deployment_retry_attempts,
    probeIntervalMs: config.discovery.probe_interval,
    recheckIntervalMs: config.discovery.recheck_interval,
  };
}
