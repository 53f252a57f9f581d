/** The registry's own log: on standard output, or in a file per day. */
import type { Config } from "../../config/schema.js";
import { SluiceError } from "../../core/contract/errors.js";
import type { Clock } from "../../core/runtime/clock.js";
import { DailyFile } from "../../core/runtime/daily-file.js";
import { createLogger, type Logger, type LogLevel } from "../../core/runtime/logger.js";

export interface RegistryLog {
  readonly logger: Logger;
  /** Takes over another level; anything else asks for a restart. */
  reconfigure(config: Config): void;
  close(): Promise<void>;
}

export interface RegistryLogOptions {
  readonly config: Config;
  /** Which process speaks. */
  readonly process: string;
  readonly clock: Clock;
}

/** @throws CONFIG_INVALID when the file of today cannot be written to */
export async function openRegistryLog({ config, process, clock }: RegistryLogOptions): Promise<RegistryLog> {
  const { log_file: path, log_format } = config.registry;
  const level = levelOf(config);
  if (path === null) {
    const logger = createLogger({ level, format: log_format ?? config.log.format, process });
    return { logger, reconfigure: (next) => logger.setLevel(levelOf(next)), close: async () => {} };
  }
  // What the file's disk refuses is said where it can be seen.
  const fallback = createLogger({ ...config.log, process });
  const file = await openFile(path, clock, fallback);
  const logger = createLogger({ level, format: log_format ?? "json", process, write: (line) => file.write(line) });
  return { logger, reconfigure: (next) => logger.setLevel(levelOf(next)), close: () => file.close() };
}

async function openFile(path: string, clock: Clock, fallback: Logger): Promise<DailyFile> {
  try {
    return await DailyFile.open({
      path,
      clock,
      onState: ({ problem, droppedLines }) => {
        const fields = { event: "log-file", droppedLines };
        if (problem === null) fallback.info(fields, "registry.log_file takes lines again");
        else
          fallback.error(
            { ...fields, code: problem },
            "registry.log_file takes no lines; they are kept and tried again",
          );
      },
    });
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? "unknown";
    throw new SluiceError("CONFIG_INVALID", `registry.log_file cannot be written to: ${path}: ${code}`, {
      cause,
      hint: "Name a file in a folder that this user may write to, or none for standard output.",
    });
  }
}

const LEVELS = {
  off: "silent",
  error: "error",
  warning: "warn",
  info: "info",
  debug: "debug",
  trace: "trace",
} as const;

/** Cogment's words in the logger's own. Pure. */
export function levelOf({ registry, log }: Config): LogLevel {
  return registry.log_level === null ? log.level : LEVELS[registry.log_level];
}
