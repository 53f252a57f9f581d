/** The project's containers as the rest of the models' parts sees them: drivers for ours, and an end for anybody's. */
import type { Config } from "../../config/schema.js";
import type { Clock } from "../../core/runtime/clock.js";
import type { Logger } from "../../core/runtime/logger.js";
import { labelsToAskFor, modelNameOf } from "./discovery/containers.js";
import type { ContainerDetails, DockerClient } from "./docker-client.js";
import { endContainer, STOP_GRACE_MS } from "./drivers/container-end.js";
import { ContainerWatches } from "./drivers/container-watches.js";
import { DockerDriver } from "./drivers/docker.js";
import { refusalOf } from "./drivers/docker-refusal.js";
import type { ServerDriver } from "./drivers/driver.js";
import type { ContainerDrivers } from "./managed-drivers.js";
import type { ManagedModel } from "./managed-model.js";

export interface ProjectContainersOptions {
  readonly docker: DockerClient;
  readonly config: () => Config;
  readonly dataDir: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Bound on finding out whether there is a daemon: the sidecar's start waits for it. */
const LOOK_TIMEOUT_MS = 1_000;

export class ProjectContainers implements ContainerDrivers {
  readonly #options: ProjectContainersOptions;
  readonly #watches = new ContainerWatches();

  constructor(options: ProjectContainersOptions) {
    this.#options = options;
  }

  async isAnswering(): Promise<boolean> {
    const { docker, config } = this.#options;
    if (config().discovery.docker.enabled === false) return false;
    return docker.ping(LOOK_TIMEOUT_MS).then(
      () => true,
      () => false,
    );
  }

  create(model: ManagedModel, slot: number, packageFile: string | null): ServerDriver {
    return new DockerDriver({ ...this.#options, watches: this.#watches, model, slot, packageFile });
  }

  /**
   * Stops and removes whatever container of the project has this name.
   * @param force also one that does not run
   * @returns `down`: it does not run, and was left alone
   * @throws DOCKER_UNAVAILABLE, DEPLOY_FAILED
   */
  async remove(name: string, force: boolean): Promise<"removed" | "down" | "unknown"> {
    const { docker, clock, logger } = this.#options;
    try {
      const found = await this.#find(name);
      if (found === null) return "unknown";
      if (!found.State.Running && !force) return "down";
      await endContainer(found, { docker, clock, graceMs: STOP_GRACE_MS });
      return "removed";
    } catch (cause) {
      throw refusalOf(cause, name, "its container cannot be stopped and removed", logger);
    }
  }

  /** The one that runs, where others of its name have ended. */
  async #find(name: string): Promise<ContainerDetails | null> {
    const { docker, config } = this.#options;
    const rows = (await docker.list(labelsToAskFor(config()))).filter((row) => modelNameOf(row) === name);
    const all = await Promise.all(rows.map(({ Id }) => docker.inspect(Id)));
    return all.find((each) => each?.State.Running === true) ?? all.find((each) => each !== null) ?? null;
  }
}
