/** The catalogue: all sources under one list of names, and the leases on them. */
import type { Config } from "../../config/schema.js";
import { SluiceError } from "../../core/contract/errors.js";
import { type ModelEntry, unavailableMessage } from "../../core/contract/models.js";
import type { Clock } from "../../core/runtime/clock.js";
import type { HttpClient } from "../../core/runtime/http.js";
import type { Logger } from "../../core/runtime/logger.js";
import type { ModelNeed } from "../tasks/store.js";
import type { ModelCatalogue } from "./catalogue.js";
import type { ManagedContainer } from "./discovery/containers.js";
import { DockerDiscovery } from "./discovery/docker.js";
import { findStatic } from "./discovery/static.js";
import { DockerClient } from "./docker-client.js";
import { Holds } from "./holds.js";
import type { LeaseOn } from "./leases.js";
import type { LifeRules } from "./lifecycle.js";
import { ManagedModels, type ManagedServerParts } from "./managed-models.js";
import type { ModelObserver } from "./model-metrics.js";
import type { ModelStore } from "./model-store.js";
import { createPackages, type Packages } from "./packages.js";
import type { Presence } from "./presence.js";
import { ProjectContainers } from "./project-containers.js";
import { PublishedModels } from "./published-models.js";
import { ModelServer, type ModelServerOptions, type ServerDefinition } from "./server.js";
import { type FoundServer, WatchedServers } from "./watched-servers.js";

export interface CatalogueOptions {
  readonly config: Config;
  /** Default: the configuration alone names models. */
  readonly store?: ModelStore;
  /** Of a URI; bounded, never throws. Default: nobody knows. */
  readonly modelTypeOf?: (modelUri: string) => Promise<string | null>;
  /** Default: there is no registry. */
  readonly packages?: Packages;
  /** Default: nothing is counted. */
  readonly observer?: ModelObserver;
  readonly dataDir: string;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly http: HttpClient;
  /** What of a model's tasks is not final. Default: nothing ever is. */
  readonly needOf?: (model: string) => ModelNeed;
}

export interface ManagedCatalogue extends ModelCatalogue {
  readonly presence: Presence;
  /** The models that Sluice itself starts and stops. */
  readonly managed: ManagedModels;
  /** Whose state an entry of the list tells. */
  server(name: string): ModelServer | undefined;
  /** The project's containers, whoever started them. */
  readonly containers: ProjectContainers;
  /** Resolves once every source is being watched; a Docker daemon that is away is not waited for. */
  start(): Promise<void>;
  /**
   * Ends the processes we started and stops watching the rest. What is held is waited for until the deadline; what is held then, or at
   * an accepted training, is left running and found again by the next start. Containers are always left running. Idempotent. Call it
   * while proxies can still reach us.
   */
  stop(deadlineMs: number): Promise<void>;
  /** Takes over static models, process models, probe intervals and concurrency of a new configuration; what did not change is left alone. */
  reconfigure(config: Config): void;
  /** Resolves when each static model of the configuration at start has been checked once. */
  readonly allFirstRoundDone: Promise<void>;
  /** How many leases a model has. */
  use(name: string): { readonly leases: number };
}

const UNOBSERVED: ModelObserver = { checked: () => {}, reaped: () => {}, started: () => {}, rolledOut: () => {} };

export function createModelCatalogue(options: CatalogueOptions): ManagedCatalogue {
  return new Catalogue(options);
}

class Catalogue implements ManagedCatalogue {
  readonly allFirstRoundDone: Promise<void>;
  readonly managed: ManagedModels;
  readonly containers: ProjectContainers;
  readonly #options: CatalogueOptions;
  readonly #holds: Holds;
  readonly #static: WatchedServers;
  readonly #docker: WatchedServers;
  readonly #dockerClient: DockerClient;
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
    this.#holds = new Holds({
      clock,
      needOf: options.needOf ?? (() => null),
      nameOf: (nameOrAddress) => this.get(nameOrAddress)?.name ?? nameOrAddress,
      onIdle: (name) => this.#freed(name),
      expectedProxies: () => this.#config.proxy.workers,
      onFree: () => {
        const { all, others } = this.managed.servers;
        for (const { server } of [...all, ...others]) server.leasesEnded();
      },
    });
    this.#published = new PublishedModels({
      sources: () => [this.#static.servers, this.managed.servers.servers, this.#docker.servers],
      settle: () => this.managed.settle(),
      logger,
    });
    const onChange = () => this.#published.changed();
    const create = (definition: ServerDefinition) => this.#create({ definition, driver: null });
    this.#static = new WatchedServers({ create, onChange });
    this.#docker = new WatchedServers({ create, onChange });
    this.#dockerClient = new DockerClient({ socketPath: options.config.discovery.docker.socket, clock });
    this.containers = new ProjectContainers({
      docker: this.#dockerClient,
      config: () => this.#config,
      dataDir,
      clock,
      logger,
    });
    this.managed = new ManagedModels({
      config: () => this.#config,
      store: options.store ?? null,
      dataDir,
      containers: this.containers,
      packages: options.packages ?? createPackages(null),
      registryUrlOf: (name) => this.#registryUrl(name),
      modelTypeOf: options.modelTypeOf ?? (async () => null),
      createServer: (parts) => this.#create(parts),
      idleSinceMs: (name) => this.#holds.leases.idleSinceMs(name),
      isTraining: (name) => this.#holds.leases.isTraining(name),
      replaced: (server) => this.#holds.replaced(server),
      onChange,
      observer: options.observer ?? UNOBSERVED,
      clock,
      logger,
    });
    this.#dockerDiscovery = new DockerDiscovery({
      config: options.config,
      docker: this.#dockerClient,
      clock,
      logger,
      onFound: (found, own) => this.#found(found, own),
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
    this.#holds.end();
    this.#dockerDiscovery.stop();
    this.#firstRoundDone();
    this.presence.end();
    // What proxies are told now is what they go on with: the others' servers are still there in it.
    this.#published.freeze();
    await this.managed.stop(deadlineMs, (server) => this.#leave(server, deadlineMs));
    this.#static.close();
    this.#docker.close();
    this.#dockerClient.close();
    this.presence.stop();
    this.#published.close();
  }

  async #leave(server: ModelServer, deadlineMs: number): Promise<boolean> {
    const { clock, logger } = this.#options;
    if (isDown(server)) return false;
    if (this.#holds.isFormer(server) || this.#holds.needOf(server) !== "under-way")
      await server.stopWhenIdle(Math.max(LAST_WORD_MS, deadlineMs - clock.now()));
    const reason = isDown(server) ? null : this.#holds.whyLeft(server);
    if (reason === null) return false;
    const { name } = server;
    logger.warn({ event: "model_left_running", model: name, reason }, "a model server that is in use is left running");
    return true;
  }

  #found(others: FoundServer[], own: ManagedContainer[]): void {
    this.#docker.follow(others);
    const names = new Set(others.map(({ definition }) => definition.name));
    this.managed.found(names, own).catch((cause) => {
      this.#options.logger.error(
        { err: cause },
        "containers of ours that were found cannot be kept; they are looked at again",
      );
    });
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
    const { clock } = this.#options;
    const untilMs = clock.elapsed() + waitMs;
    for (;;) {
      const server = this.#find(nameOrAddress);
      try {
        return await server.ensureReady(Math.max(0, untilMs - clock.elapsed()), signal);
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

  server(name: string): ModelServer | undefined {
    return this.#published.server(name);
  }

  onChange(listener: (models: ModelEntry[]) => void): () => void {
    return this.#published.onChange(listener);
  }

  lease(name: string, holder: string, on: LeaseOn = "model"): () => void {
    return this.#holds.leases.take(this.get(name)?.name ?? name, holder, on);
  }

  isChanging(name: string): boolean {
    return this.managed.rollouts.isChanging(this.get(name)?.name ?? name);
  }

  use(name: string): { leases: number } {
    return { leases: this.#holds.leases.count(name) };
  }

  get presence(): Presence {
    return this.#holds.presence;
  }

  async #registryUrl(name: string): Promise<string> {
    const localUrl = await this.presence.localUrl(LOCAL_URL_WAIT_MS);
    return localUrl === null ? "" : `${localUrl}/registry/models/${name}`;
  }

  #freed(name: string): void {
    this.#published.server(name)?.leasesEnded();
    this.managed.freed(name);
  }

  #create(
    given: Pick<ModelServerOptions, "definition" | "driver"> & Partial<Omit<ManagedServerParts, "driver">>,
  ): ModelServer {
    const { clock, http, logger } = this.#options;
    const {
      definition,
      driver,
      startable = () => false,
      startTimeoutMs = () => 0,
      onStarted = () => {},
      onFailed = () => false,
    } = given;
    const server: ModelServer = new ModelServer({
      definition,
      driver,
      clock,
      http,
      logger,
      rules: () => lifeRules(this.#config, startable(), startTimeoutMs()),
      onChange: () => this.#published.changed(),
      isHeld: () => this.#holds.isHeld(server),
      onDrain: () => this.#holds.announceDrain(server),
      onStarted,
      onFailed,
    });
    return server;
  }
}

/** How long a start that needs the registry's address waits for a proxy to be there. */
const LOCAL_URL_WAIT_MS = 5_000;
/** At the deadline proxies still get this long to say that they use a model no more. */
const LAST_WORD_MS = 1_000;

function isDown({ entry }: ModelServer): boolean {
  return entry.state === "absent" || entry.state === "failed";
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
