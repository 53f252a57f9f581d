/**
 * JSON lines on stdout, one logger per process (the registry may have one of its own), scoped children. The only importer of pino.
 *
 * Never hand it a header block, a body, a URL with its query or an error whose text came from outside: note text, tokens and keys
 * stay out of logs (promise 9). Keys are those of {@link LogFields}.
 */
import pino from "pino";

export const LOG_LEVELS = ["fatal", "error", "warn", "info", "debug", "trace", "silent"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export interface LogFields {
  event?: string;
  requestId?: string;
  taskId?: string;
  model?: string;
  route?: string;
  code?: string;
  status?: number;
  durationMs?: number;
  err?: unknown;
  [key: string]: unknown;
}

export interface Logger {
  error(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  debug(fields: LogFields, message: string): void;
  /** A logger whose lines carry `scope`, e.g. `proxy.forward`. */
  child(scope: string): Logger;
  setLevel(level: LogLevel): void;
}

function wrap(target: pino.Logger): Logger {
  return {
    error: (fields, message) => target.error(fields, message),
    warn: (fields, message) => target.warn(fields, message),
    info: (fields, message) => target.info(fields, message),
    debug: (fields, message) => target.debug(fields, message),
    child: (scope) => wrap(target.child({ scope })),
    setLevel: (level) => {
      target.level = level;
    },
  };
}

export interface LoggerOptions {
  readonly level: LogLevel;
  /** `json` for machines, `text` for a person at a terminal. */
  readonly format: "json" | "text";
  /** Which process speaks: `serve`, `proxy`, `sidecar`, `registry`. */
  readonly process: string;
  /** Takes each line, its line break included. Default: standard output. */
  readonly write?: (line: string) => void;
}

export function createLogger(options: LoggerOptions): Logger {
  const base = {
    level: options.level,
    base: { process: options.process, pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    serializers: { err: describeError },
  };
  if (options.format === "json" && options.write === undefined) return wrap(pino(base));
  const write = options.write ?? ((line: string) => void process.stdout.write(line));
  const shown = options.format === "json" ? write : (line: string) => write(asText(line, options.write === undefined));
  return wrap(pino(base, { write: shown }));
}

/** An error without its own text where that could carry a caller's data: code, class and our message of the chain. */
function describeError(caught: unknown): unknown {
  if (!(caught instanceof Error)) return { type: typeof caught };
  const { code } = caught as { code?: unknown };
  return {
    type: caught.name,
    ...(code === undefined ? {} : { code }),
    message: caught.message,
    stack: caught.stack
      ?.split("\n")
      .slice(1, 6)
      .map((line) => line.trim()),
    ...(caught.cause === undefined ? {} : { cause: describeError(caught.cause) }),
  };
}

const COLOURS: Record<string, string> = {
  error: "\u001b[31m",
  warn: "\u001b[33m",
  info: "\u001b[32m",
  debug: "\u001b[2m",
};

function asText(line: string, isOnStdout: boolean): string {
  const { level, time, process: who, scope, pid: _pid, msg, ...rest } = JSON.parse(line) as Record<string, unknown>;
  const colour = isOnStdout && process.stdout.isTTY ? (COLOURS[String(level)] ?? "") : "";
  const fields = Object.entries(rest).map(
    ([key, value]) => `${key}=${typeof value === "object" ? JSON.stringify(value) : value}`,
  );
  const head = `${String(time).slice(11, 23)} ${colour}${String(level).padEnd(5)}${colour ? "\u001b[0m" : ""}`;
  return `${head} ${scope ?? who}: ${msg}${fields.length > 0 ? `  ${fields.join(" ")}` : ""}\n`;
}
