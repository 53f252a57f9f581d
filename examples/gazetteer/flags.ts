import { parseArgs } from "node:util";

/** Everything the command line can say. Times are milliseconds, sizes bytes. */
export interface Options {
  readonly host: string;
  readonly port: number;
  readonly name: string;
  readonly modelType: string;
  readonly modelPath: string | null;
  readonly dataDir: string | null;
  readonly registry: string | null;
  readonly loadMs: number;
  readonly rateLimit: number | null;
  readonly maxBodyBytes: number;
  readonly trainDocMs: number;
  readonly trainFailAfter: number | null;
  readonly tokenMs: number;
  readonly wsIdleMs: number;
  readonly graceMs: number;
  readonly neverReady: boolean;
  readonly dieAfterMs: number | null;
  readonly misbehave: boolean;
  readonly requestLog: string | null;
}

interface Flag {
  readonly flag: string;
  readonly kind: "text" | "number" | "switch";
  readonly default: string | number | boolean | null;
  readonly help: string;
}

/** Flag by option; README.md's table is this one. */
export const FLAGS: { readonly [K in keyof Options]: Flag } = {
  host: { flag: "host", kind: "text", default: "127.0.0.1", help: "address to listen on" },
  port: { flag: "port", kind: "number", default: 8000, help: "port to listen on; 0 takes a free one" },
  name: { flag: "name", kind: "text", default: "gazetteer", help: "model name, as told by `/info`" },
  modelType: {
    flag: "model-type",
    kind: "text",
    default: "medcat_snomed",
    help: "what `/readyz` tells; `anoncat` and the other de-identification types know identifiers only, no clinical terms",
  },
  modelPath: {
    flag: "model-path",
    kind: "text",
    default: null,
    help: "version file to start from, path or `file://` URL; none or empty: the built-in list",
  },
  dataDir: {
    flag: "data-dir",
    kind: "text",
    default: null,
    help: "where versions and runs are kept; without it in memory only",
  },
  registry: {
    flag: "registry",
    kind: "text",
    default: null,
    help: "the model's place in a registry, `http://…/registry/models/<name>`: what is trained is uploaded there; none or empty: it is not",
  },
  loadMs: { flag: "load-ms", kind: "number", default: 0, help: "pretend to load for so long before the port opens" },
  rateLimit: {
    flag: "rate-limit",
    kind: "number",
    default: null,
    help: "requests a minute for each limited path and caller",
  },
  maxBodyBytes: {
    flag: "max-body-bytes",
    kind: "number",
    default: 268_435_456,
    help: "longest body that is read into memory",
  },
  trainDocMs: { flag: "train-doc-ms", kind: "number", default: 0, help: "how long training dwells on each document" },
  trainFailAfter: {
    flag: "train-fail-after",
    kind: "number",
    default: null,
    help: "let training fail after so many documents",
  },
  tokenMs: { flag: "token-ms", kind: "number", default: 20, help: "time between two generated words" },
  wsIdleMs: {
    flag: "ws-idle-ms",
    kind: "number",
    default: 60_000,
    help: "idle WebSockets are closed after one to two times this",
  },
  graceMs: { flag: "grace-ms", kind: "number", default: 500, help: "how long open streams may go on after SIGTERM" },
  neverReady: {
    flag: "never-ready",
    kind: "switch",
    default: false,
    help: "answer `/healthz` and `/readyz` with 503 for ever",
  },
  dieAfterMs: { flag: "die-after-ms", kind: "number", default: null, help: "exit with code 1 after so long" },
  misbehave: { flag: "misbehave", kind: "switch", default: false, help: "honour `x-misbehave` headers, see below" },
  requestLog: {
    flag: "request-log",
    kind: "text",
    default: null,
    help: "append one JSON line for each request to this file",
  },
};

/** @throws Error naming the flag that is unknown or has a bad value. */
export function parseFlags(args: readonly string[]): Options {
  const entries = Object.entries(FLAGS);
  const options = Object.fromEntries(
    entries.map(([, { flag, kind }]) => [
      flag,
      { type: kind === "switch" ? ("boolean" as const) : ("string" as const) },
    ]),
  );
  const { values } = parseArgs({ args: [...args], options, strict: true });
  return Object.fromEntries(
    entries.map(([key, flag]) => [key, readFlag(flag, values[flag.flag])]),
  ) as unknown as Options;
}

function readFlag(flag: Flag, given: unknown): string | number | boolean | null {
  // An empty value is what a command template leaves where it has nothing to say: `--model-path=`.
  if (given === undefined || given === "") return flag.default;
  if (flag.kind !== "number") return given as string | boolean;
  const value = Number(given);
  if (Number.isSafeInteger(value) && value >= 0) return value;
  throw new Error(`--${flag.flag} must be a whole number, not "${given}"`);
}
