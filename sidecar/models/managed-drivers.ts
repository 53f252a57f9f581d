/** Makes the drivers of managed models: `models.deployment.driver` chooses. */
import type { Config } from "../../config/schema.js";
import { SluiceError } from "../../core/contract/errors.js";
import { isRegistryUri, readRegistryUri } from "../../core/contract/registry.js";
import type { Clock } from "../../core/runtime/clock.js";
import type { Logger } from "../../core/runtime/logger.js";
import { type ServerDriver, StartRefused, startFailure } from "./drivers/driver.js";
import { limitsOf } from "./drivers/limits.js";
import { ProcessDriver } from "./drivers/process.js";
import { recordedModels } from "./drivers/process-record.js";
import { processOf } from "./managed-definitions.js";
import type { PlacedDriver } from "./managed-driver.js";
import type { ManagedModel } from "./managed-model.js";
import type { Packages } from "./packages.js";
import { type Pin, startUri } from "./pin.js";
import { isNamed } from "./placeholders.js";

/** What starts containers. */
export interface ContainerDrivers {
  /** Whether a daemon answers now; bounded, never throws. */
  isAnswering(): Promise<boolean>;
  /**
   * @param slot the server's place among those of its model
   * @param packageFile see {@link Package.file}; null for a model without one, and where nothing is started
   */
  create(model: ManagedModel, slot: number, packageFile: string | null): ServerDriver;
}

/** Of a driver: to start a server with, or to look for what runs already, and where among the servers of its model. */
export interface DriverWish {
  readonly isStart: boolean;
  readonly slot: number;
}

export interface ManagedDriversOptions {
  readonly config: () => Config;
  readonly dataDir: string;
  readonly containers: ContainerDrivers;
  /** Bounded, never throws; null where nobody knows. */
  readonly modelTypeOf: (modelUri: string) => Promise<string | null>;
  readonly packages: Packages;
  /** A model's place in the registry for a program on this machine; bounded, never throws, empty where nobody knows. */
  readonly registryUrlOf: (name: string) => Promise<string>;
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
  async create(
    model: ManagedModel,
    { isStart, slot }: DriverWish,
  ): Promise<{ placed: PlacedDriver; modelType: string | null }> {
    if (model.origin !== "config") await this.look();
    const place = this.placeOf(model);
    const isTypeUsed = place === "docker" ? isStart : this.#isTypeInTemplate();
    const modelType = model.modelType ?? (isTypeUsed ? await this.#askType(model) : null);
    const typed = { ...model, modelType };
    const packageFile = isStart ? await this.#packageFile(model) : null;
    const driver =
      place === "process"
        ? await this.#process(typed, slot, packageFile)
        : this.#options.containers.create(typed, slot, packageFile);
    return { placed: { place, driver }, modelType };
  }

  /** Null for a model without one. @throws StartRefused */
  async #packageFile({ pinned }: ManagedModel): Promise<string | null> {
    if (pinned === null) return null;
    try {
      return (await this.#options.packages.resolve(pinned.modelUri))!.file;
    } catch (cause) {
      throw asStartFailure(cause);
    }
  }

  /**
   * The version that a start of it takes now; null for models of other schemes. An entry of the configuration that follows a model
   * without versions starts without one: it is how the first one comes to be.
   * @throws StartRefused
   */
  pin(model: ManagedModel): Pin | null {
    const { packages } = this.#options;
    const uri = startUri(model);
    if (uri === null || !isRegistryUri(uri)) return null;
    try {
      const mayBeEmpty = model.origin === "config" && model.follow !== null;
      if (mayBeEmpty && packages.isEmpty(readRegistryUri(uri).modelId)) return null;
      return packages.pin(uri);
    } catch (cause) {
      throw asStartFailure(cause);
    }
  }

  async #askType({ origin, modelUri }: ManagedModel): Promise<string | null> {
    return origin === "config" || modelUri === null ? null : this.#options.modelTypeOf(modelUri);
  }

  #isTypeInTemplate(): boolean {
    const template = this.#options.config().models.deployment.process;
    return template !== null && isNamed("model_type", template);
  }

  async #process(model: ManagedModel, slot: number, packageFile: string | null): Promise<ServerDriver> {
    const { config, dataDir, registryUrlOf, clock, logger } = this.#options;
    const entry = processOf(model, config());
    if (entry === null) {
      throw startFailure(
        "no Docker daemon answers at discovery.docker.socket, and models.deployment.process.command does not say how to start a process",
      );
    }
    const { name, pinned, deploy } = model;
    const registryUrl = isNamed("registry_url", entry) ? await registryUrlOf(name) : "";
    const given = { modelUri: pinned?.modelUri ?? null, packageFile, registryUrl };
    return new ProcessDriver({ name, slot, entry, given, limits: limitsOf(deploy), dataDir, clock, logger });
  }

  /** Ends processes that an earlier sidecar left of models which are no processes now. */
  async endStrangers(isKnown: (name: string, slot: number) => boolean): Promise<void> {
    for (const { model, slot } of await recordedModels(this.#options.dataDir)) {
      if (!isKnown(model, slot)) this.#endStranger(model, slot);
    }
  }

  #endStranger(name: string, slot: number): void {
    const { dataDir, clock, logger } = this.#options;
    const ending = new ProcessDriver({ name, slot, entry: null, dataDir, clock, logger })
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

/** A start that another try would not help, in the registry's own words where they are fit for a caller. */
function asStartFailure(cause: unknown): SluiceError {
  if (cause instanceof SluiceError) return new StartRefused(`its package cannot be had: ${cause.message}`, cause);
  return startFailure("its package cannot be read", cause);
}
