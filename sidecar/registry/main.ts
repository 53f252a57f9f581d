/** The model registry alone, as a process: what `sluice registry serve` runs. */
import type { LoadedConfig, LoadOptions } from "../../config/load.js";
import { needsRestart } from "../../config/load.js";
import { watchConfig } from "../../config/reload.js";
import { systemClock } from "../../core/runtime/clock.js";
import { openRegistryService, type Place, type RegistryService } from "./service.js";

export interface RegistryProcessOptions {
  readonly loaded: LoadedConfig;
  /** How the configuration is loaded again, on SIGHUP or when a file changes. */
  readonly reload: LoadOptions;
  readonly databaseFile: string;
  readonly archiveDir: string;
}

export interface RunningRegistry {
  readonly place: Place;
  /** Loads the configuration again. */
  reload(): void;
  /** Lets calls end until the deadline (epoch ms), then closes everything. Idempotent. */
  stop(deadlineMs: number): Promise<void>;
}

/** @throws SluiceError or Error with words for the operator; nothing is left running then */
export async function runRegistry(options: RegistryProcessOptions): Promise<RunningRegistry> {
  const { loaded, databaseFile, archiveDir } = options;
  let config = loaded.config;
  const service = await openRegistryService({
    config: () => config,
    databaseFile,
    archiveDir,
    process: "registry",
    clock: systemClock,
    onDeath(error) {
      process.stderr.write(`sluice: the registry's database is gone: ${error.message}\n`);
      process.exit(1);
    },
  });
  try {
    for (const warning of loaded.warnings) service.logger.warn({ event: "config_warning" }, warning);
    const place = await service.listen(config.registry.port, null);
    const watch = followConfig(options, service, (next) => {
      config = next.config;
    });
    return {
      place,
      reload: () => watch.trigger(),
      async stop(deadlineMs) {
        watch.stop();
        await service.stopServing(deadlineMs);
        await service.close();
      },
    };
  } catch (caught) {
    await service.close();
    throw caught;
  }
}

function followConfig(
  { loaded, reload }: RegistryProcessOptions,
  { logger, reconfigure }: Pick<RegistryService, "logger" | "reconfigure">,
  takeOver: (next: LoadedConfig) => void,
) {
  return watchConfig({
    options: reload,
    current: loaded,
    onReload: (next) => {
      takeOver(next);
      reconfigure(next.config);
      const restart = needsRestart(loaded.config, next.config).filter((path) => path.startsWith("registry."));
      const more = restart.length > 0 ? { needsRestart: restart } : {};
      logger.info({ event: "config_reloaded", ...more }, "configuration reloaded");
    },
    onRefused: (error) => {
      const faults = error.faults.map(({ path, message }) => (path === "" ? message : `${path}: ${message}`));
      logger.error({ event: "config_refused", faults }, "the edited configuration is refused; the old one stays");
    },
  });
}
