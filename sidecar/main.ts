/** The sidecar as a process: signals, reloads, and what it tells its supervisor. */
import type { LoadedConfig, LoadOptions } from "../config/load.js";
import { needsRestart } from "../config/load.js";
import { watchConfig } from "../config/reload.js";
import type { Logger } from "../core/runtime/logger.js";
import { startSidecar } from "./start.js";

export interface SidecarProcessOptions {
  readonly loaded: LoadedConfig;
  /** How the configuration is loaded again, on SIGHUP or when a file changes. */
  readonly reload: LoadOptions;
  readonly logger: Logger;
  /** Where the registry listens when its port is 0: the one that was free last time. Null: any free one. */
  readonly registryPort: number | null;
}

/** Over the drain's own bound, for closing what is left. */
const BACKSTOP_MS = 10_000;

/** Serves until SIGTERM or SIGINT; the process exits then. Tells the supervisor `{type:"ready"}` after the first round of checks. */
export async function runSidecar({ loaded, reload, logger, registryPort }: SidecarProcessOptions): Promise<void> {
  for (const warning of loaded.warnings) logger.warn({ event: "config_warning" }, warning);
  const onDeath = (error: Error) => {
    logger.error({ event: "store_died", err: error }, "a database is gone; ending, so that a new process takes over");
    process.exit(1);
  };
  const sidecar = await startSidecar(loaded, logger, onDeath, { registryPort });

  let current = loaded;
  const watch = watchConfig({
    options: reload,
    current: loaded,
    onReload: (next) => {
      try {
        sidecar.reconfigure(next.config);
      } catch (cause) {
        logger.error({ event: "config_refused", err: cause }, "the edited configuration is refused; the old one stays");
        return;
      }
      // Against what this process began with: an edit taken back needs nothing, one that stays is said again.
      const restart = needsRestart(loaded.config, next.config);
      current = next;
      logger.info(
        { event: "config_reloaded", ...(restart.length > 0 ? { needsRestart: restart } : {}) },
        "configuration reloaded",
      );
    },
    onRefused: (error) => {
      const faults = error.faults.map(({ path, message }) => (path === "" ? message : `${path}: ${message}`));
      logger.error({ event: "config_refused", faults }, "the edited configuration is refused; the old one stays");
    },
  });
  process.on("SIGHUP", () => watch.trigger());

  let isEnding = false;
  const end = () => {
    if (isEnding) process.exit(1);
    isEnding = true;
    watch.stop();
    const drainMs = current.config.proxy.timeouts.drain;
    logger.info({ event: "draining" }, "letting running calls end");
    setTimeout(() => process.exit(1), drainMs + BACKSTOP_MS).unref();
    sidecar.stop(Date.now() + drainMs).then(
      () => process.exit(0),
      (cause: unknown) => {
        logger.error({ event: "stop_failed", err: cause }, "not everything stopped cleanly");
        process.exit(1);
      },
    );
  };
  process.on("SIGTERM", end);
  process.on("SIGINT", end);

  await sidecar.firstRoundDone;
  process.send?.({ type: "ready", registry: sidecar.registry });
  logger.info({ event: "sidecar_ready" }, "the sidecar is ready");
}
