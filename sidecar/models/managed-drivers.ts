/** Makes the drivers of managed models: `models.deployment.driver` chooses. */
import type { Config } from "../../config/schema.js";
import type { Clock } from "../../core/runtime/clock.js";
import type { Logger } from "../../core/runtime/logger.js";
import { type ServerDriver, startFailure } from "./drivers/driver.js";
import { limitsOf } from "./drivers/limits.js";
import { ProcessDriver } from "./drivers/process.js";
import { recordedModels } from "./drivers/process-record.js";
import { processOf } from "./managed-definitions.js";
import type { PlacedDriver } from "./managed-driver.js";
import type { ManagedModel } from "./managed-model.js";

/** What starts containers. */
export interface ContainerDrivers {
  /** Whether a daemon answers now; bounded, never throws. */
  isAnswering(): Promise<boolean>;
  create(model: ManagedModel): ServerDriver;
}

export interface ManagedDriversOptions {
  readonly config: () => Config;
  readonly dataDir: string;
  readonly containers: ContainerDrivers;
  /** Bounded, never throws; null where nobody knows. */
  readonly modelTypeOf: (modelUri: string) => Promise<string | null>;
  readonly clock: Clock;
  readonly logger: Logger;
}

export class ManagedDrivers {
  readonly #options: ManagedDriversOptions;
  /** A daemon answered when last asked: one that is away for a moment does not turn containers into processes. */
  #hasDaemon = false;
  /** Processes of models that nothing names any more, while they are being ended. */
  readonly #leaving = new Set<Promise<void>>();

  constructor(options: ManagedDriversOptions) {
    this.#options = options;
  }

  /** Asks whether a Docker daemon answers, where that decides anything. */
  async look(): Promise<void> {
    const { containers, config } = this.#options;
    if (config().models.deployment.driver !== null || this.#hasDaemon) return;
    this.#hasDaemon = await containers.isAnswering();
  }

  daemonAnswered(): void {
    this.#hasDaemon = true;
  }

  /** As far as it is known now. Entries of the configuration are always processes: their commands say so. */
  placeOf({ origin }: ManagedModel): PlacedDriver["place"] {
    if (origin === "config") return "process";
    return this.#options.config().models.deployment.driver ?? (this.#hasDaemon ? "docker" : "process");
  }

  /** @throws MODEL_START_FAILED where nothing can run it */
  async create(model: ManagedModel, isStart: boolean): Promise<{ placed: PlacedDriver; modelType: string | null }> {
    if (model.origin !== "config") await this.look();
    const place = this.placeOf(model);
    const isTypeUsed = place === "docker" ? isStart : this.#isTypeInTemplate();
    const modelType = model.modelType ?? (isTypeUsed ? await this.#askType(model) : null);
    const typed = { ...model, modelType };
    const driver = place === "process" ? this.#process(typed) : this.#options.containers.create(typed);
    return { placed: { place, driver }, modelType };
  }

  async #askType({ origin, modelUri }: ManagedModel): Promise<string | null> {
    return origin === "config" || modelUri === null ? null : this.#options.modelTypeOf(modelUri);
  }

  #isTypeInTemplate(): boolean {
    const { command, env } = this.#options.config().models.deployment.process ?? { command: [], env: {} };
    return [...command, ...Object.values(env)].some((text) => text.includes("{model_type}"));
  }

  #process(model: ManagedModel): ServerDriver {
    const { config, dataDir, clock, logger } = this.#options;
    const entry = processOf(model, config());
    if (entry === null) {
      throw startFailure(
        "no Docker daemon answers at discovery.docker.socket, and models.deployment.process.command does not say how to start a process",
      );
    }
    return new ProcessDriver({ name: model.name, entry, limits: limitsOf(model.deploy), dataDir, clock, logger });
  }

  /** Ends processes that an earlier sidecar left of models which are no processes now. */
  async endStrangers(isProcess: (name: string) => boolean): Promise<void> {
    for (const name of await recordedModels(this.#options.dataDir)) if (!isProcess(name)) this.#endStranger(name);
  }

  #endStranger(name: string): void {
    const { dataDir, clock, logger } = this.#options;
    const ending = new ProcessDriver({ name, entry: null, dataDir, clock, logger })
      .adopt(() => {})
      .then(
        () => undefined,
        (cause) =>
          logger.error({ model: name, err: cause }, "a model server of an earlier configuration cannot be ended"),
      )
      .finally(() => this.#leaving.delete(ending));
    this.#leaving.add(ending);
  }

  /** Resolves when no stranger is left. */
  async stop(): Promise<void> {
    await Promise.all(this.#leaving);
  }
}
