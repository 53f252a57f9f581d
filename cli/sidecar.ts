/** `sluice sidecar`: the sidecar process, under `sluice serve` or alone. */
import { ConfigError } from "../config/load.js";
import { armFailpoints } from "../core/runtime/failpoints.js";
import { createLogger } from "../core/runtime/logger.js";
import { runSidecar } from "../sidecar/main.js";
import { configFromSupervisor, ignoreTerminalSignals, isSupervised, runChild } from "./child.js";
import { type GlobalFlags, loadConfiguration, loadOptionsOf } from "./global-flags.js";
import { BEAT_MS, type BeatMessage } from "./ipc.js";

/**
 * A sidecar whose supervisor was killed has this long to stop its idle model servers. What still runs is cut: tasks are durable, and a new
 * `serve` wants the folder within seconds.
 */
const ORPHAN_STOP_MS = 500;

export function sidecar(flags: GlobalFlags): Promise<void> {
  return runChild(async () => {
    armFailpoints(process.env.SLUICE_FAILPOINTS ?? null);
    if (isSupervised()) {
      ignoreTerminalSignals(["SIGINT"]);
      process.once("disconnect", endOrphan);
    }
    const { loaded, problem, registryPort } = await load(flags);
    const logger = createLogger({ ...loaded.config.log, process: "sidecar" });
    if (problem !== undefined) {
      logger.error(
        { event: "config-refused", problem: problem.message },
        "the configuration on disk is refused; starting with the one Sluice began with",
      );
    }
    await runSidecar({ loaded, reload: loadOptionsOf(flags), logger, registryPort });
    if (isSupervised()) {
      ignoreTerminalSignals(["SIGINT"]);
      beat();
    }
  });
}

/** Signs of life for the supervisor, until it is gone. One that is stopped itself finds a single one when it goes on. */
function beat(): void {
  const message: BeatMessage = { type: "beat" };
  let isOnItsWay = false;
  const timer = setInterval(() => {
    if (isOnItsWay) return;
    isOnItsWay = true;
    process.send?.(message, undefined, {}, () => {
      isOnItsWay = false;
    });
  }, BEAT_MS).unref();
  process.once("disconnect", () => clearInterval(timer));
}

/** A restarted sidecar must not fail on an edit that a running one would have refused: it falls back to what the supervisor holds. */
async function load(flags: GlobalFlags) {
  const told = isSupervised() ? await configFromSupervisor() : undefined;
  const registryPort = told?.registryPort ?? null;
  try {
    const loaded = loadConfiguration(flags);
    // The supervisor has told the warnings already.
    return { loaded: isSupervised() ? { ...loaded, warnings: [] } : loaded, problem: undefined, registryPort };
  } catch (caught) {
    if (!(caught instanceof ConfigError) || told === undefined) throw caught;
    const files = { sluice: null, cmg: null, dotenv: null };
    return { loaded: { config: told.config, files, warnings: [] }, problem: caught, registryPort };
  }
}

function endOrphan(): void {
  setTimeout(() => process.exit(1), ORPHAN_STOP_MS).unref();
  process.kill(process.pid, "SIGTERM");
}
