/** One server of a managed model: its life, its driver, and what the two are made from. */
import type { Config } from "../../config/schema.js";
import type { Clock } from "../../core/runtime/clock.js";
import { hashCommand } from "./drivers/process-record.js";
import { defineServer, processOf } from "./managed-definitions.js";
import { ManagedDriver, type PlacedDriver } from "./managed-driver.js";
import type { DriverWish } from "./managed-drivers.js";
import type { ManagedModel } from "./managed-model.js";
import { type Pin, pinOf, startUri } from "./pin.js";
import type { ModelServer, ServerDefinition } from "./server.js";

export interface ManagedServerOptions {
  readonly config: () => Config;
  /** Where a model that does not run would be started. */
  readonly placeOf: (model: ManagedModel) => PlacedDriver["place"];
  /** With the model's type, as far as it is known. */
  readonly createDriver: (
    model: ManagedModel,
    wish: DriverWish,
  ) => Promise<{ placed: PlacedDriver; modelType: string | null }>;
  /** The registry's version that a start of it takes now; null for other models. @throws MODEL_START_FAILED */
  readonly pin: (model: ManagedModel) => Pin | null;
  /** See {@link ManagedDriverOptions.admit}. */
  readonly admit: (managed: ManagedServer, signal: AbortSignal) => Promise<void>;
  readonly createServer: (definition: ServerDefinition, managed: ManagedServer) => ModelServer;
  readonly clock: Clock;
}

export interface ManagedPlace {
  /** Among the servers of its model (`server-slot.ts`). */
  readonly slot: number;
  /** What it is started with as long as it stands beside the present server; null for the present one, which takes what is followed. */
  readonly version: Pin | null;
}

export class ManagedServer {
  readonly server: ModelServer;
  readonly driver: ManagedDriver;
  readonly slot: number;
  /** What its present or last run was started with. */
  model: ManagedModel;
  /** What its next run will be started with; null: nothing names it any more, and it is dropped once it is down. */
  next: ManagedModel | null;
  /** Resolves once what an earlier sidecar left of it was looked for. */
  begun: Promise<void> = Promise.resolve();
  isLooking = false;
  readonly #options: ManagedServerOptions;
  #version: Pin | null;
  #isAdmitted = false;
  /** What its start waits for. */
  #problem: string | null = null;
  /** {@link keyOf} of its present or last run. */
  #runKey = "";
  /** What its definition was last made from. */
  #described: readonly unknown[] = [];

  constructor(options: ManagedServerOptions, model: ManagedModel, { slot, version }: ManagedPlace) {
    this.#options = options;
    this.#version = version;
    this.slot = slot;
    this.model = model;
    this.next = model;
    this.driver = new ManagedDriver({
      clock: options.clock,
      admit: async (signal) => {
        this.#isAdmitted = false;
        await options.admit(this, signal);
        this.#isAdmitted = true;
      },
      create: (isStart) => this.#create(isStart),
      onRun: ({ modelUri }) => {
        this.model = { ...this.model, pinned: pinOf(modelUri) };
        this.describe();
      },
    });
    this.server = options.createServer(defineServer(model, options.placeOf(model), options.config()), this);
  }

  /** It is to take the place of the model's present server. */
  get isBeside(): boolean {
    return this.#version !== null;
  }

  /** False: its last start was turned away before anything of it ran, which says nothing of its version. */
  get isAdmitted(): boolean {
    return this.#isAdmitted;
  }

  /** The registry's version it runs with, or starts with; null for other models. */
  get uri(): string | null {
    return (this.#version ?? this.model.pinned)?.modelUri ?? null;
  }

  get isDown(): boolean {
    return !this.isLooking && (this.server.state === "absent" || this.server.state === "failed");
  }

  /** Whether its next run would be no other than the present one. */
  get isSameRun(): boolean {
    return this.next === null || this.#runKey === keyOf(this.next, this.driver.place, this.#options.config());
  }

  async #create(isStart: boolean): Promise<PlacedDriver> {
    const { createDriver, pin, config } = this.#options;
    const definition = { ...(this.next ?? this.model), pinned: null };
    // In one turn with its look-up: from now on that version is in use.
    this.model = isStart ? { ...definition, pinned: this.#version ?? pin(definition) } : definition;
    const { placed, modelType } = await createDriver(this.model, { isStart, slot: this.slot });
    this.model = { ...this.model, modelType };
    this.#runKey = keyOf(definition, placed.place, config());
    this.describe(placed.place);
    return placed;
  }

  /** Looks for what an earlier sidecar left of it. @param found called before anybody who waits for {@link begun} goes on */
  begin(found: () => void): void {
    this.isLooking = true;
    this.begun = this.server.begin().then(() => {
      this.isLooking = false;
      found();
    });
  }

  /** It is the model's present server from now on. */
  takePlace(next: ManagedModel | null): void {
    this.#version = null;
    this.next = next;
    this.describe();
  }

  /** What a start waits for. */
  waitsFor(problem: string | null): void {
    this.#problem = problem;
    this.describe();
  }

  /** Takes over what only Sluice reads at once, and the rest where it is down. */
  settle(): void {
    const { next } = this;
    if (next !== null && this.isDown) this.model = next;
    else if (next !== null && !this.isLooking && this.isSameRun) {
      this.model = { ...next, modelType: this.model.modelType, pinned: this.model.pinned };
    }
    this.describe();
  }

  describe(given: PlacedDriver["place"] | null = this.driver.place): void {
    const { server, model, next } = this;
    const problem = this.#problem;
    const place = given ?? this.#options.placeOf(model);
    const config = this.#options.config();
    const onDemand = next !== null;
    const from = [model, place, config, onDemand, problem];
    if (from.every((each, index) => each === this.#described[index])) return;
    this.#described = from;
    const definition = { ...defineServer(model, place, config), onDemand, problem };
    if (JSON.stringify(definition) !== JSON.stringify(server.definition)) server.adjust(definition);
  }
}

/** The same for two definitions whose runs are as good as each other's; settings that only Sluice reads are left out. */
function keyOf(model: ManagedModel, place: PlacedDriver["place"] | null, config: Config): string {
  const entry = place === "process" ? processOf(model, config) : null;
  const { modelType, deploy } = model;
  return JSON.stringify([place, startUri(model), modelType, deploy, entry === null ? null : hashCommand(entry)]);
}
