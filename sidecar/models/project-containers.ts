/** The project's containers as the rest of the models' parts sees them: drivers for ours, and an end for anybody's. */
import type { Config } from "../../config/schema.js";
import { SluiceError } from "../../core/contract/errors.js";
import type { Clock } from "../../core/runtime/clock.js";
import type { Logger } from "../../core/runtime/logger.js";
import { within } from "../../core/runtime/within.js";
import { PROJECT_LABEL, SERVICE_LABEL } from "./discovery/containers.js";
import type { DockerClient } from "./docker-client.js";
import { faultOf } from "./docker-fault.js";
import { DockerDriver } from "./drivers/docker.js";
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
const STOP_GRACE_SECONDS = 10;

export class ProjectContainers implements ContainerDrivers {
  readonly #options: ProjectContainersOptions;

  constructor(options: ProjectContainersOptions) {
    this.#options = options;
  }

  async isAnswering(): Promise<boolean> {
    const { docker, config, clock } = this.#options;
    if (config().discovery.docker.enabled === false) return false;
    try {
      await within(clock, LOOK_TIMEOUT_MS, undefined, (signal) => Promise.race([docker.ping(), aborted(signal)]));
      return true;
    } catch {
      return false;
    }
  }

  create(model: ManagedModel): ServerDriver {
    return new DockerDriver({ ...this.#options, name: model.name, model: () => model });
  }

  /**
   * Stops and removes whatever container of the project has this name.
   * @param force also one that does not run
   * @returns `down`: it does not run, and was left alone
   * @throws DOCKER_UNAVAILABLE, DEPLOY_FAILED
   */
  async remove(name: string, force: boolean): Promise<"removed" | "down" | "unknown"> {
    const { docker } = this.#options;
    try {
      const found = (await docker.list(this.#labels())).find(
        ({ Labels, Names }) => (Labels[SERVICE_LABEL] ?? Names[0]?.replace(/^\//, "")) === name,
      );
      if (found === undefined) return "unknown";
      const isRunning = found.State === "running";
      if (!isRunning && !force) return "down";
      if (isRunning) await docker.stop(found.Id, STOP_GRACE_SECONDS);
      await docker.remove(found.Id);
      return "removed";
    } catch (cause) {
      const { kind, message } = faultOf(cause);
      if (kind === "away") throw new SluiceError("DOCKER_UNAVAILABLE", message, { cause });
      throw new SluiceError("DEPLOY_FAILED", `the container of model '${name}' could not be removed: ${message}`, {
        cause,
      });
    }
  }

  #labels(): string[] {
    const { labels, discovery, cms } = this.#options.config();
    return [labels.cms_model_label, `${PROJECT_LABEL}=${discovery.docker.project ?? cms.project_name}`];
  }
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason), { once: true }));
}
