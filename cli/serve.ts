/** `sluice serve`: takes the data folder, starts everything, says when it is ready, and ends it again. */
import { closeSync, openSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { socketPathOf } from "../config/load.js";
import type { Config } from "../config/schema.js";
import { createLogger, type Logger } from "../core/runtime/logger.js";
import { DataLock, lockArchive } from "./data-lock.js";
import { CliError, EXIT, type ExitCode } from "./exit.js";
import { flagsToArgs, type GlobalFlags, loadConfiguration } from "./global-flags.js";
import { addressOf, assertPortsFree, urlOf } from "./listening.js";
import { type Status, Supervisor } from "./supervisor.js";
import { welcome } from "./welcome.js";

export interface ServeOptions {
  /** The program the children run. Default: this one. */
  readonly exec?: string;
  /** Bound on a child's way to readiness. Default 60_000. */
  readonly startTimeoutMs?: number;
  /** A sidecar silent for this long is replaced. Default 30_000. */
  readonly silenceMs?: number;
}

/** Ctrl-C under `npm start` arrives twice: from the terminal, and again from npm. */
const SAME_KEY_PRESS_MS = 300;

/** Resolves with the exit code once every child is gone. */
export async function serve(flags: GlobalFlags, options: ServeOptions = {}): Promise<ExitCode> {
  const { config, warnings } = loadConfiguration(flags);
  const logger = createLogger({ ...config.log, process: "serve" });
  const socketPath = socketPathOf(config);
  for (const warning of warnings) logger.warn({ event: "config-warning" }, warning);
  // A reader of our output that goes away must not take the service with it.
  process.stdout.on("error", () => undefined);
  const lock = await DataLock.take(config.data_dir, socketPath);
  const locks = [lock];
  try {
    locks.push(...(await lockArchive(config, config.data_dir)));
    await assertPortsFree(config);
    return await supervise({ flags, options, config, logger, socketPath, lock });
  } finally {
    for (const each of locks) each.release();
  }
}

interface Serving {
  readonly flags: GlobalFlags;
  readonly options: ServeOptions;
  readonly config: Config;
  readonly logger: Logger;
  readonly socketPath: string;
  readonly lock: DataLock;
}

function supervise(serving: Serving): Promise<ExitCode> {
  const { flags, options, config, logger, socketPath, lock } = serving;
  return new Promise((resolve, reject) => {
    const supervisor = new Supervisor({
      exec: options.exec ?? fileURLToPath(new URL("./main.js", import.meta.url)),
      args: flagsToArgs(flags),
      config,
      socketPath,
      ...(options.startTimeoutMs === undefined ? {} : { startTimeoutMs: options.startTimeoutMs }),
      ...(options.silenceMs === undefined ? {} : { silenceMs: options.silenceMs }),
      logger,
      onReady: (status) => {
        const url = urlOf(config.proxy.host, status.port);
        lock.nameUrl(url);
        const registry = status.registry === null ? null : addressOf(status.registry);
        announce({ event: "ready", url, registry, pid: process.pid, pids: pidsOf(status) });
        void welcome(url, socketPath);
      },
      onRestarted: (which, status) => announce({ event: "restarted", which, pids: pidsOf(status) }),
      onGivenUp: (part, why) => {
        const failure = new CliError(EXIT.failed, `the ${part} cannot start: ${why}`);
        void supervisor.stop().then(() => reject(failure));
      },
    });
    handleSignals(supervisor, logger, resolve);
    supervisor.start();
  });
}

/** One line for programs, whatever the log's format: part of Sluice's interface. */
function announce(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

function pidsOf(status: Status) {
  return { sidecar: status.sidecar, proxies: status.proxies };
}

/** The first SIGTERM or SIGINT drains, a second one kills. SIGHUP reloads. */
function handleSignals(supervisor: Supervisor, logger: Logger, end: (code: ExitCode) => void): void {
  let firstAtMs: number | undefined;
  let code: ExitCode = EXIT.ok;
  const stop = (signal: NodeJS.Signals) => {
    if (firstAtMs === undefined) {
      firstAtMs = Date.now();
      logger.info({ event: "stopping", signal }, "finishing what is in flight; a second signal ends it at once");
      void supervisor.stop().then((isClean) => {
        if (!isClean) logger.warn({ event: "stop-timeout" }, "not everything ended in time; the rest was killed");
        end(code);
      });
    } else if (signal !== "SIGINT" || Date.now() - firstAtMs > SAME_KEY_PRESS_MS) {
      logger.warn({ event: "forced", signal }, "killing all parts");
      code = EXIT.failed;
      supervisor.kill();
    }
  };
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
  process.on("SIGHUP", () => {
    if (isTerminalGone()) return stop("SIGHUP");
    logger.info({ event: "reload" }, "passing SIGHUP on to the sidecar");
    supervisor.reload();
  });
}

/** A closed terminal sends SIGHUP too; that one means the person left. */
function isTerminalGone(): boolean {
  if (!process.stdout.isTTY) return false;
  try {
    closeSync(openSync("/dev/tty", "r"));
    return false;
  } catch {
    return true;
  }
}
