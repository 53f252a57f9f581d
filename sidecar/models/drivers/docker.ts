/**
 * Runs a model server as a container. It is found again by its name and labels, whoever started it: an earlier sidecar, another one
 * on the same daemon, or CogStack Model Gateway. The daemon is always asked; nothing it told before is believed for long.
 */
import type { Readable } from "node:stream";
import type { Config } from "../../../config/schema.js";
import { SluiceError } from "../../../core/contract/errors.js";
import type { Clock } from "../../../core/runtime/clock.js";
import type { Logger } from "../../../core/runtime/logger.js";
import { addressOn, networkOf, urlOf } from "../discovery/containers.js";
import type { ContainerDetails, DockerClient } from "../docker-client.js";
import { faultOf } from "../docker-fault.js";
import { fileOnHost } from "../host-file.js";
import type { ManagedModel } from "../managed-model.js";
import type { LogOptions } from "../management.js";
import { FIRST_SLOT, slotContainer } from "../server-slot.js";
import { endContainer, STOP_GRACE_MS } from "./container-end.js";
import { containerSpec, imageOf } from "./container-spec.js";
import { isAboutToStart, isMatching, isOurs, pinnedAlone } from "./container-state.js";
import type { ContainerWatches } from "./container-watches.js";
import { refusalOf } from "./docker-refusal.js";
import { describeStartFault } from "./docker-start-fault.js";
import { ContainerWatch } from "./docker-watch.js";
import { type ExitListener, type Launched, type ServerDriver, StartRefused, startFailure } from "./driver.js";
import { modelFolder } from "./process-record.js";
import { keepServerLog, readServerLog } from "./server-log.js";

const PULL_TIMEOUT_MS = 30 * 60_000;
/** Two that start the same model meet at most so often. */
const START_ROUNDS = 4;
const RETRY_MS = 500;
/** Of a container that is removed, so many last lines are kept. */
const KEPT_LINES = 2_000;

export interface DockerDriverOptions {
  readonly model: ManagedModel;
  /** Its place among the servers of its model; default the first. */
  readonly slot?: number;
  /** See {@link Package.file}; default: none. */
  readonly packageFile?: string | null;
  readonly config: () => Config;
  readonly docker: DockerClient;
  /** Of all models that run as containers. */
  readonly watches: ContainerWatches;
  readonly dataDir: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

export class DockerDriver implements ServerDriver {
  readonly #options: DockerDriverOptions;
  readonly #name: string;
  readonly #containerName: string;
  readonly #folder: string;
  #watch: ContainerWatch | null = null;
  /** Gives up the start that is under way. */
  #giveUp = new AbortController();
  /** One start, adoption or stop at a time. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: DockerDriverOptions) {
    this.#options = options;
    this.#name = options.model.name;
    this.#containerName = slotContainer(this.#name, options.slot ?? FIRST_SLOT);
    this.#folder = modelFolder(options.dataDir, this.#name, options.slot);
  }

  start(onExit: ExitListener): Promise<Launched> {
    this.#giveUp = new AbortController();
    return this.#inTurn(async () => {
      try {
        return await this.#start(onExit);
      } catch (cause) {
        throw this.#startError(cause);
      }
    });
  }

  adopt(onExit: ExitListener): Promise<Launched | null> {
    return this.#inTurn(async () => {
      const found = await this.#find();
      if (found === null) return null;
      if (found.State.Running && isMatching(found, this.#options.model, this.#options.config())) {
        const { logger } = this.#options;
        logger.info(
          { event: "model_adopted", model: this.#name, container: found.Id.slice(0, 12) },
          "a running model server was found again",
        );
        return this.#take(found, onExit);
      }
      await this.#end(found, this.#options.clock.now() + STOP_GRACE_MS);
      return null;
    });
  }

  stop(deadlineMs: number): Promise<void> {
    const { logger } = this.#options;
    this.#giveUp.abort();
    return this.#inTurn(async () => {
      try {
        await this.#stop(deadlineMs);
      } catch (cause) {
        throw refusalOf(cause, this.#name, "its container cannot be stopped and removed", logger);
      }
    });
  }

  leave(): void {
    this.#giveUp.abort();
    this.#watch?.leave();
    this.#watch = null;
  }

  async logs({ tail, follow, signal }: LogOptions): Promise<Readable> {
    const { docker, logger } = this.#options;
    try {
      const found = await this.#find();
      if (found !== null) return await docker.logs(found.Id, tail, follow && found.State.Running, signal);
    } catch (cause) {
      throw refusalOf(cause, this.#name, "its log cannot be read", logger);
    }
    return readServerLog(this.#folder, { tail, follow: false, signal });
  }

  #inTurn<T>(action: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(action);
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  /** The container of this model's name, where it is ours. */
  async #find(): Promise<ContainerDetails | null> {
    const { docker, config } = this.#options;
    const details = await docker.inspect(this.#containerName);
    return details !== null && isOurs(details, this.#name, config()) ? details : null;
  }

  /** Whoever else starts the same model at the same time ends up with the same container. */
  async #start(onExit: ExitListener): Promise<Launched> {
    for (let round = 0; round < START_ROUNDS; round++) {
      this.#giveUp.signal.throwIfAborted();
      const there = await this.#clear();
      if (there?.State.Running === true) return this.#take(await this.#attach(there), onExit);
      const id = there?.Id ?? (await this.#create());
      const details = id === null ? null : await this.#run(id);
      if (details !== null) return this.#take(details, onExit);
      await this.#options.clock.sleep(RETRY_MS * Math.random(), this.#giveUp.signal);
    }
    throw startFailure("somebody else starts and stops it at the same time");
  }

  /** What has this model's name and can be used as it is: it runs, or somebody is about to start it. Anything else of ours is removed. */
  async #clear(): Promise<ContainerDetails | null> {
    const { docker, clock, model, config } = this.#options;
    const there = await docker.inspect(this.#containerName);
    if (there === null) return null;
    if (!isOurs(there, this.#name, config())) {
      const whose = `a container named '${this.#containerName}' that Sluice did not start`;
      throw new StartRefused(`${whose} is in its way; remove or rename it`);
    }
    if (there.State.Running && isMatching(there, model, config())) return there;
    if (isAboutToStart(there, clock.now()) && isMatching(there, pinnedAlone(model), config())) return there;
    await this.#end(there, clock.now() + STOP_GRACE_MS);
    return null;
  }

  /** Null where somebody else took the name meanwhile. */
  async #create(): Promise<string | null> {
    const { docker, clock, model, config, packageFile: file = null } = this.#options;
    const packageFile = file === null ? null : await fileOnHost(docker, file);
    const spec = containerSpec(model, { config: config(), now: clock.now(), packageFile });
    try {
      return await docker.create(this.#containerName, spec).catch(async (cause) => {
        if (faultOf(cause).kind !== "absent") throw cause;
        await this.#pull(spec.Image);
        return docker.create(this.#containerName, spec);
      });
    } catch (cause) {
      if (faultOf(cause).kind === "conflict") return null;
      throw cause;
    }
  }

  async #pull(image: string): Promise<void> {
    const { docker, logger } = this.#options;
    logger.info({ event: "image_pull", model: this.#name, image }, "an image is not there and is pulled");
    try {
      await docker.pull(image, PULL_TIMEOUT_MS, this.#giveUp.signal);
    } catch (cause) {
      const fault = faultOf(cause);
      logger.warn(
        { event: "image_missing", model: this.#name, image, reason: fault.message },
        "an image cannot be pulled",
      );
      throw startFailure(`its image '${image}' is not there and could not be pulled`, fault);
    }
  }

  /** Null where somebody else removed it meanwhile. */
  async #run(id: string): Promise<ContainerDetails | null> {
    const { docker } = this.#options;
    try {
      await docker.start(id);
    } catch (cause) {
      const fault = faultOf(cause);
      if (fault.kind === "absent" && (await docker.inspect(id)) === null) return null;
      if (fault.kind !== "unchanged") {
        await docker.remove(id).catch(() => undefined);
        throw fault;
      }
    }
    return docker.inspect(id);
  }

  /** A running container that somebody took out of the network is put back. */
  async #attach(details: ContainerDetails): Promise<ContainerDetails> {
    const { docker, config } = this.#options;
    const network = networkOf(config());
    if (addressOn(network, details.NetworkSettings.Networks) !== null) return details;
    await docker.connect(network, details.Id);
    return (await docker.inspect(details.Id)) ?? details;
  }

  async #take(details: ContainerDetails, onExit: ExitListener): Promise<Launched> {
    const { docker, clock, watches } = this.#options;
    const config = this.#options.config();
    this.#watch = new ContainerWatch({ docker, config, clock, details, onExit });
    watches.add(this.#watch);
    const { address } = this.#watch;
    await watches.take(address, details.Id);
    const url = urlOf(this.#name, address, config) ?? `http://${this.#containerName}:${config.cms.server_port}`;
    const modelUri = details.Config.Labels[config.labels.cms_model_uri_label] ?? null;
    return { url, id: details.Id, address, modelUri };
  }

  #startError(cause: unknown): SluiceError {
    if (cause instanceof SluiceError)
      return cause.code === "MODEL_START_FAILED" ? cause : new StartRefused(cause.message, cause);
    if (this.#giveUp.signal.aborted) return startFailure("its start was called off");
    const { logger, model, config } = this.#options;
    const fault = faultOf(cause);
    logger.warn(
      { event: "docker_refused", model: this.#name, reason: fault.message },
      "a container could not be started",
    );
    const problem = describeStartFault(fault, { image: imageOf(model, config()), config: config() });
    return fault.kind === "away" ? startFailure(problem, fault) : new StartRefused(problem, fault);
  }

  /** While the daemon is away it is tried again until the deadline. */
  async #stop(deadlineMs: number): Promise<void> {
    const { clock } = this.#options;
    this.#watch?.expectStop(true);
    for (;;) {
      try {
        const found = await this.#find();
        if (found !== null) await this.#end(found, deadlineMs);
        this.#watch?.end("was stopped");
        this.#watch = null;
        return;
      } catch (cause) {
        if (faultOf(cause).kind !== "away" || clock.now() + RETRY_MS > deadlineMs) {
          this.#watch?.expectStop(false);
          throw cause;
        }
        await clock.sleep(RETRY_MS);
      }
    }
  }

  /** Ends it, whatever state it is in, keeps its last words and removes it. */
  async #end(details: ContainerDetails, deadlineMs: number): Promise<void> {
    const { docker, clock } = this.#options;
    const graceMs = Math.min(STOP_GRACE_MS, Math.max(0, deadlineMs - clock.now()));
    await endContainer(details, { docker, clock, graceMs, ended: (id) => this.#keepLog(id) });
  }

  /** Best effort: a log that cannot be kept must not keep a container from going. */
  async #keepLog(id: string): Promise<void> {
    const { docker, logger } = this.#options;
    try {
      await keepServerLog(this.#folder, await docker.logs(id, KEPT_LINES, false, AbortSignal.timeout(5_000)));
    } catch {
      logger.debug({ model: this.#name }, "the log of a container that is removed cannot be kept");
    }
  }
}
