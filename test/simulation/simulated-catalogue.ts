/**
 * The models as one process sees them. The life of each server and the leases are the real ones (`sidecar/models/server.ts`,
 * `leases.ts`); what starts and ends a server is simulated, and so is a source that loses sight of one.
 */
import { Readable } from "node:stream";
import { SluiceError } from "../../core/contract/errors.js";
import type { ModelEntry } from "../../core/contract/models.js";
import type { HttpClient } from "../../core/runtime/http.js";
import type { Logger } from "../../core/runtime/logger.js";
import type { ModelCatalogue } from "../../sidecar/models/catalogue.js";
import { type ServerDriver, startFailure } from "../../sidecar/models/drivers/driver.js";
import { Leases } from "../../sidecar/models/leases.js";
import { ModelServer } from "../../sidecar/models/server.js";
import type { SimulatedServer } from "./model-server.js";
import type { SidecarProcess } from "./sidecar-process.js";
import type { World } from "./world.js";

export interface SimulatedCatalogueOptions {
  readonly world: World;
  readonly process: SidecarProcess;
  readonly servers: ReadonlyMap<string, SimulatedServer>;
  readonly http: HttpClient;
  readonly logger: Logger;
}

/** A program takes this long to start or to end. */
const STARTS_IN_MS = 50;

export class SimulatedCatalogue implements ModelCatalogue {
  readonly #options: SimulatedCatalogueOptions;
  readonly #owners = new Map<string, ModelServer>();
  readonly #leases: Leases;
  readonly #listeners = new Set<(models: ModelEntry[]) => void>();
  #isPublishing = false;
  #isStopping = false;

  constructor(options: SimulatedCatalogueOptions, vanished: ReadonlySet<string>) {
    this.#options = options;
    this.#leases = new Leases(options.process.clock, (name) => this.#owners.get(name)?.leasesEnded());
    for (const server of options.servers.values()) if (!vanished.has(server.name)) this.appear(server);
  }

  get(name: string): ModelEntry | undefined {
    return this.#owners.get(name)?.entry;
  }

  /** Whether anything holds any model. */
  get isHeld(): boolean {
    return [...this.#owners.keys()].some((name) => this.#leases.count(name) > 0);
  }

  list(): ModelEntry[] {
    return [...this.#owners.values()].map(({ entry }) => entry);
  }

  async ensureReady(name: string, waitMs: number, signal?: AbortSignal): Promise<ModelEntry> {
    const owner = this.#owners.get(name);
    if (owner === undefined) throw new SluiceError("MODEL_UNKNOWN", "there is no such model");
    return owner.ensureReady(waitMs, signal);
  }

  onChange(listener: (models: ModelEntry[]) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  isChanging(): boolean {
    return false;
  }

  lease(model: string, holder: string): () => void {
    const { world, process } = this.#options;
    const told = { type: "lease", process: process.number, model } as const;
    const release = this.#leases.take(model, holder);
    const name = `${holder} #${world.nextHolder()}`;
    world.tell({ ...told, holder: name, taken: true });
    let isHeld = true;
    return () => {
      if (isHeld) world.tell({ ...told, holder: name, taken: false });
      isHeld = false;
      release();
    };
  }

  /** Somebody, or idleness, asks for its end. */
  drain(name: string): void {
    this.#owners.get(name)?.drain();
  }

  vanish(name: string): void {
    this.#owners.get(name)?.close();
    this.#owners.delete(name);
    this.#changed();
  }

  appear(server: SimulatedServer): void {
    const owner = this.#own(server);
    this.#owners.set(server.name, owner);
    void owner.begin();
    this.#changed();
  }

  close(): void {
    for (const owner of this.#owners.values()) owner.close();
  }

  /** As Sluice does when it stops: what it started it ends. */
  async stop(deadlineMs: number): Promise<void> {
    this.#isStopping = true;
    await Promise.all([...this.#owners.values()].map((owner) => owner.stop(deadlineMs)));
  }

  #own(server: SimulatedServer): ModelServer {
    const { process, world, http, logger } = this.#options;
    const { name, kind, concurrency } = server.planned;
    const isOurs = kind === "ours";
    return new ModelServer({
      definition: {
        ...{ name, concurrency, address: null, modelType: null, modelUri: null, problem: null, onDemand: isOurs },
        source: isOurs ? "process" : "static",
        url: isOurs ? null : server.url,
      },
      driver: isOurs ? this.#drive(server) : null,
      rules: () => ({
        startable: isOurs,
        startTimeoutMs: world.plan.startTimeoutMs,
        retryAttempts: 2,
        probeIntervalMs: 1_000,
        recheckIntervalMs: 30_000,
      }),
      clock: process.clock,
      http,
      logger,
      onChange: () => this.#changed(),
      isHeld: () => this.#leases.count(name) > 0,
    });
  }

  #drive(server: SimulatedServer): ServerDriver {
    const { process, world } = this.#options;
    const listen = (onExit: (cause: string) => void) => {
      server.onExit = (cause) => process.deliver(() => onExit(cause));
    };
    const launched = { url: server.url, id: server.name, address: null, modelUri: null };
    return {
      start: async (onExit) => {
        await process.clock.sleep(STARTS_IN_MS);
        const how = server.isNextStartBad ? world.random.pick(["fails", "exits", "never ready"] as const) : "well";
        server.isNextStartBad = false;
        if (how !== "well") world.tell({ type: "start-failed", model: server.name });
        if (how === "fails") throw startFailure("its program is missing");
        server.start(how === "never ready");
        listen(onExit);
        if (how === "exits") world.clock.after(STARTS_IN_MS, () => server.die("exited with code 1"));
        return launched;
      },
      adopt: async (onExit) => {
        if (server.isDown) return null;
        listen(onExit);
        return launched;
      },
      stop: async () => {
        const decided = !this.#isStopping;
        if (!server.isDown) world.tell({ type: "server-stop", model: server.name, decided, wasReady: server.wasReady });
        await process.clock.sleep(STARTS_IN_MS);
        server.die("was ended");
      },
      leave: () => {},
      logs: async () => Readable.from([]),
    };
  }

  #changed(): void {
    if (this.#isPublishing) return;
    this.#isPublishing = true;
    queueMicrotask(() => {
      this.#isPublishing = false;
      for (const listener of this.#listeners) listener(this.list());
    });
  }
}
