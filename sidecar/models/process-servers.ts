/** The servers that Sluice runs as processes, one per `discovery.process` entry. */
import type { Config, ProcessModelConfig } from "../../config/schema.js";
import type { Clock } from "../../core/runtime/clock.js";
import type { Logger } from "../../core/runtime/logger.js";
import { defineProcess } from "./discovery/process.js";
import type { ServerDriver } from "./drivers/driver.js";
import { ProcessDriver } from "./drivers/process.js";
import { hashCommand, recordedModels } from "./drivers/process-record.js";
import type { ModelServer, ServerDefinition } from "./server.js";

export interface ProcessServersOptions {
  readonly dataDir: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly create: (definition: ServerDefinition, driver: ServerDriver) => ModelServer;
  readonly onChange: () => void;
}

interface Owned {
  readonly entry: ProcessModelConfig;
  readonly server: ModelServer;
}

export class ProcessServers {
  readonly #options: ProcessServersOptions;
  readonly #owned = new Map<string, Owned>();
  /** Servers of an earlier configuration that are being ended. */
  readonly #leaving = new Set<Promise<void>>();

  constructor(options: ProcessServersOptions) {
    this.#options = options;
  }

  get servers(): ModelServer[] {
    return [...this.#owned.values()].map(({ server }) => server);
  }

  /** Takes over what an earlier sidecar left running; ends what is no longer configured. */
  async start(config: Config): Promise<void> {
    for (const entry of config.discovery.process) this.#add(entry, config);
    for (const name of await recordedModels(this.#options.dataDir)) {
      if (!this.#owned.has(name)) this.#endStranger(name);
    }
  }

  /** Entries that are new, gone or changed take effect at once, except where a server runs: that one keeps its settings until it ends. */
  reconfigure(config: Config): void {
    const wanted = new Map(config.discovery.process.map((entry) => [entry.name, entry]));
    for (const [name, { entry, server }] of this.#owned) {
      const next = wanted.get(name);
      if (next !== undefined && hashCommand(next) === hashCommand(entry)) {
        this.#owned.set(name, { entry: next, server });
        server.adjust(defineProcess(next, config));
      } else if (isDown(server)) {
        server.close();
        this.#owned.delete(name);
      } else {
        this.#options.logger.warn(
          { model: name },
          "a running model server keeps its settings until Sluice is started anew",
        );
      }
    }
    for (const entry of wanted.values()) if (!this.#owned.has(entry.name)) this.#add(entry, config);
    this.#options.onChange();
  }

  #add(entry: ProcessModelConfig, config: Config): void {
    const server = this.#options.create(defineProcess(entry, config), this.#driver(entry.name, entry));
    this.#owned.set(entry.name, { entry, server });
    void server.begin();
  }

  #driver(name: string, entry: ProcessModelConfig | null): ProcessDriver {
    const { dataDir, clock, logger } = this.#options;
    return new ProcessDriver({ name, entry, dataDir, clock, logger });
  }

  #endStranger(name: string): void {
    const ending = this.#driver(name, null)
      .adopt(() => {})
      .then(
        () => undefined,
        (cause) =>
          this.#options.logger.error(
            { model: name, err: cause },
            "a model server of an earlier configuration cannot be ended",
          ),
      )
      .finally(() => this.#leaving.delete(ending));
    this.#leaving.add(ending);
  }

  /** @param leave says of each server, when its end has come, whether it is left running */
  async stop(deadlineMs: number, leave: (server: ModelServer) => Promise<boolean>): Promise<void> {
    const end = async (server: ModelServer) => {
      if (await leave(server)) server.close();
      else await server.stop(deadlineMs);
    };
    await Promise.all([...this.servers.map(end), ...this.#leaving]);
  }
}

function isDown(server: ModelServer): boolean {
  return ["absent", "failed"].includes(server.entry.state);
}
