/** The servers that Sluice itself starts and stops: one per managed model, whatever names it and wherever it runs. */
import type { Config } from "../../config/schema.js";
import { SluiceError } from "../../core/contract/errors.js";
import type { Clock } from "../../core/runtime/clock.js";
import type { Logger } from "../../core/runtime/logger.js";
import type { VersionUse } from "../registry/registry.js";
import { hashCommand } from "./drivers/process-record.js";
import { defineServer, processOf } from "./managed-definitions.js";
import { ManagedDriver, type PlacedDriver } from "./managed-driver.js";
import type { ManagedModel } from "./managed-model.js";
import { type Pin, pinOf, startUri } from "./pin.js";
import type { ModelServer, ServerDefinition } from "./server.js";

export interface ManagedServersOptions {
  readonly config: () => Config;
  /** Where a model that does not run would be started. */
  readonly placeOf: (model: ManagedModel) => PlacedDriver["place"];
  /** With the model's type, as far as it is known. */
  readonly createDriver: (
    model: ManagedModel,
    isStart: boolean,
  ) => Promise<{ placed: PlacedDriver; modelType: string | null }>;
  /** The registry's version that a start of it takes now; null for other models. @throws MODEL_START_FAILED */
  readonly pin: (model: ManagedModel) => Pin | null;
  /** See {@link ManagedDriverOptions.admit}. */
  readonly admit: (model: ManagedModel, signal: AbortSignal) => Promise<void>;
  /** @param startable asked whenever a request wants it */
  readonly createServer: (definition: ServerDefinition, driver: ManagedDriver, startable: () => boolean) => ModelServer;
  readonly onChange: () => void;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface Managed {
  readonly server: ModelServer;
  readonly driver: ManagedDriver;
  /** What its present or last run was started with. */
  readonly model: ManagedModel;
  /** What its next run will be started with; null: nothing names it any more, and it is dropped once it is down. */
  readonly next: ManagedModel | null;
  /** Resolves once what an earlier sidecar left of it was looked for. */
  readonly begun: Promise<void>;
}

type Owned = { -readonly [Key in keyof Managed]: Managed[Key] } & {
  /** What its start waits for. */
  problem: string | null;
  isLooking: boolean;
  /** {@link keyOf} of its present or last run. */
  runKey: string;
  /** What its definition was last made from. */
  described: readonly unknown[];
};

export class ManagedServers {
  readonly #options: ManagedServersOptions;
  readonly #owned = new Map<string, Owned>();

  constructor(options: ManagedServersOptions) {
    this.#options = options;
  }

  get servers(): ModelServer[] {
    return [...this.#owned.values()].map(({ server }) => server);
  }

  get all(): Managed[] {
    return [...this.#owned.values()];
  }

  /** The registry's versions that servers run with, or start with now. */
  get uses(): VersionUse[] {
    return this.all.flatMap(({ model: { name, pinned } }) =>
      pinned === null ? [] : [{ modelId: pinned.modelId, versionNumber: pinned.versionNumber, by: name }],
    );
  }

  get(name: string): Managed | undefined {
    return this.#owned.get(name);
  }

  /**
   * Takes over a new set of models. Where a server runs a change counts from its next start, and one that nothing names any more is
   * not started again; an entry that the configuration has lost is stopped as well, once nothing holds it.
   */
  follow(models: readonly ManagedModel[]): void {
    const wanted = new Map(models.map((model) => [model.name, model]));
    for (const [name, owned] of this.#owned) owned.next = wanted.get(name) ?? null;
    for (const model of wanted.values()) if (!this.#owned.has(model.name)) this.#add(model);
    this.settle();
    for (const owned of this.#owned.values()) {
      if (owned.next === null && owned.model.origin === "config") owned.server.drain();
      else if (!owned.isLooking && !this.#isDown(owned) && !this.#isSameRun(owned)) this.#tellKept(owned.server.name);
    }
    this.#options.onChange();
  }

  #tellKept(name: string): void {
    this.#options.logger.warn({ model: name }, "a running model server keeps its settings until its next start");
  }

  #add(model: ManagedModel): void {
    const { clock, createDriver, pin, admit, createServer, placeOf, config } = this.#options;
    const driver = new ManagedDriver({
      clock,
      admit: (signal) => admit(owned.next ?? owned.model, signal),
      create: async (isStart) => {
        const definition = { ...(owned.next ?? owned.model), pinned: null };
        // In one turn with its look-up: from now on that version is in use.
        owned.model = isStart ? { ...definition, pinned: pin(definition) } : definition;
        const { placed, modelType } = await createDriver(owned.model, isStart);
        owned.model = { ...owned.model, modelType };
        owned.runKey = keyOf(definition, placed.place, config());
        this.#describe(owned, placed.place);
        return placed;
      },
      onRun: ({ modelUri }) => {
        owned.model = { ...owned.model, pinned: pinOf(modelUri) };
        this.#describe(owned);
      },
    });
    const definition = defineServer(model, placeOf(model), config());
    const server = createServer(definition, driver, () => owned.next !== null);
    const owned: Owned = {
      model,
      next: model,
      driver,
      server,
      problem: null,
      begun: Promise.resolve(),
      isLooking: false,
      runKey: "",
      described: [],
    };
    this.#owned.set(model.name, owned);
    this.#begin(owned);
  }

  #begin(owned: Owned): void {
    owned.isLooking = true;
    owned.begun = owned.server.begin().then(() => {
      owned.isLooking = false;
      // Where nothing was found nothing has changed: a change told for each of thousands of models would cost minutes.
      if (!this.#settle(owned)) this.#options.onChange();
    });
  }

  #describe(owned: Owned, given: PlacedDriver["place"] | null = owned.driver.place): void {
    const { server, model, next, problem } = owned;
    const place = given ?? this.#options.placeOf(model);
    const config = this.#options.config();
    const onDemand = next !== null;
    const from = [model, place, config, onDemand, problem];
    if (from.every((each, index) => each === owned.described[index])) return;
    owned.described = from;
    const definition = { ...defineServer(model, place, config), onDemand, problem };
    if (JSON.stringify(definition) !== JSON.stringify(server.definition)) server.adjust(definition);
  }

  /** What a start waits for. */
  waitsFor(name: string, problem: string | null): void {
    const owned = this.#owned.get(name);
    if (owned === undefined) return;
    owned.problem = problem;
    this.#describe(owned);
  }

  /** To be called after changes of a server: what is down takes its new definition, or goes. */
  settle(): void {
    for (const owned of this.#owned.values()) this.#settle(owned);
  }

  /** @returns false when it went */
  #settle(owned: Owned): boolean {
    const { server, next, isLooking } = owned;
    const isDown = this.#isDown(owned);
    if (isDown && next === null) {
      this.#owned.delete(server.name);
      server.close();
      return false;
    }
    // What only Sluice reads takes effect at once.
    if (next !== null && isDown) owned.model = next;
    else if (next !== null && !isLooking && this.#isSameRun(owned)) {
      owned.model = { ...next, modelType: owned.model.modelType, pinned: owned.model.pinned };
    }
    this.#describe(owned);
    return true;
  }

  #isDown({ isLooking, server }: Owned): boolean {
    return !isLooking && (server.state === "absent" || server.state === "failed");
  }

  /** Whether its next run would be no other than the present one. */
  #isSameRun({ next, driver, runKey }: Owned): boolean {
    return next === null || runKey === keyOf(next, driver.place, this.#options.config());
  }

  /**
   * {@link ModelServer.stopWhenIdle}, once what an earlier sidecar left of it was looked for.
   * @throws what its driver refused to stop it with; it is looked for again then
   */
  async stopWhenIdle(name: string, waitMs: number): Promise<"stopped" | "held"> {
    const owned = this.#owned.get(name);
    if (owned === undefined) return "stopped";
    await owned.begun;
    const outcome = await owned.server.stopWhenIdle(waitMs);
    try {
      // A run's end may be seen before all of it is gone.
      await owned.driver.stopped();
      return outcome;
    } catch (cause) {
      this.adopt(name);
      throw cause;
    }
  }

  /** Looks again for a server of this model that runs already. */
  adopt(name: string): void {
    const owned = this.#owned.get(name);
    if (owned?.server.state === "absent" && !owned.isLooking) this.#begin(owned);
  }

  /**
   * Ends the processes; containers run on and are found again.
   * @param leave says of each process, when its end has come, whether it is left running
   */
  async stop(deadlineMs: number, leave: (server: ModelServer) => Promise<boolean>): Promise<void> {
    const end = async ({ server, driver }: Managed) => {
      const isLeft = driver.place === "docker" || (await leave(server));
      if (!isLeft) return server.stop(deadlineMs);
      server.close(new SluiceError("SHUTTING_DOWN", "Sluice is stopping"));
      driver.leave();
    };
    await Promise.all(this.all.map(end));
  }
}

/** The same for two definitions whose runs are as good as each other's; settings that only Sluice reads are left out. */
function keyOf(model: ManagedModel, place: PlacedDriver["place"] | null, config: Config): string {
  const entry = place === "process" ? processOf(model, config) : null;
  const { modelType, deploy } = model;
  return JSON.stringify([place, startUri(model), modelType, deploy, entry === null ? null : hashCommand(entry)]);
}
