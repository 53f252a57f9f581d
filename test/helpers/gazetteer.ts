import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const MAIN = fileURLToPath(new URL("../../examples/gazetteer/main.js", import.meta.url));
const READY_WITHIN_MS = 20_000;
const STOP_WITHIN_MS = 5_000;

/** What the helper needs of a test: tap's `t` has it. */
export interface Teardown {
  teardown(handler: () => Promise<void> | void): void;
}

export interface GazetteerOptions {
  /** More flags, as on the command line: `["--train-doc-ms", "50"]`. */
  readonly args?: readonly string[];
  /** Default 0: a free one. Name one to start again where another server was. */
  readonly port?: number;
  /** Default true: `x-misbehave` headers are honoured. */
  readonly misbehave?: boolean;
  /** Default: a new file. Name one to go on with the log of an earlier server. */
  readonly requestLog?: string;
}

/** One request that reached the server. `sha256` is null when its body was not read to the end. */
export interface SeenRequest {
  readonly method: string;
  readonly url: string;
  readonly requestId: string | null;
  readonly trackingId: string | null;
  readonly sha256: string | null;
  readonly bytes: number;
}

export interface RunningGazetteer {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  readonly requestLog: string;
  /** The exit code, null after a signal. */
  readonly exited: Promise<number | null>;
  /** SIGTERM, then SIGKILL after 5 s. Safe to call twice. */
  stop(): Promise<void>;
  kill(signal: NodeJS.Signals): void;
  /** Every request so far, in order, also after the server was killed. */
  requests(): Promise<SeenRequest[]>;
}

/** Starts the real example server as its own process on 127.0.0.1, ready when this resolves; ended with the test. */
export async function startGazetteer(t: Teardown, options: GazetteerOptions = {}): Promise<RunningGazetteer> {
  const folder = await mkdtemp(join(tmpdir(), "gazetteer-"));
  const requestLog = options.requestLog ?? join(folder, "requests.ndjson");
  const flags = ["--host", "127.0.0.1", "--port", String(options.port ?? 0), "--request-log", requestLog];
  if (options.misbehave !== false) flags.push("--misbehave");
  const child = spawn(process.execPath, [MAIN, ...flags, ...(options.args ?? [])], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const exited = once(child, "exit").then(([code]) => code as number | null);
  const stop = () => stopChild(child, exited);
  t.teardown(async () => {
    await stop();
    await rm(folder, { recursive: true, force: true });
  });
  const { url, port } = await readReadyLine(child);
  return {
    url,
    port,
    pid: child.pid!,
    requestLog,
    exited,
    stop,
    kill: (signal) => void child.kill(signal),
    requests: () => readRequests(requestLog),
  };
}

async function readReadyLine(child: ChildProcess): Promise<{ url: string; port: number }> {
  let complaint = "";
  child.stderr!.setEncoding("utf8").on("data", (text: string) => {
    complaint = (complaint + text).slice(-4_000);
  });
  const timer = setTimeout(() => child.kill("SIGKILL"), READY_WITHIN_MS);
  try {
    for await (const line of createInterface({ input: child.stdout! })) return JSON.parse(line);
  } finally {
    clearTimeout(timer);
    child.stdout!.resume();
  }
  throw new Error(`the gazetteer ended before it was ready: ${complaint}`);
}

async function stopChild(child: ChildProcess, exited: Promise<unknown>): Promise<void> {
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), STOP_WITHIN_MS);
  await exited;
  clearTimeout(timer);
}

async function readRequests(file: string): Promise<SeenRequest[]> {
  const lines = (await readFile(file, "utf8")).split("\n");
  return lines.filter((line) => line !== "").map((line) => JSON.parse(line) as SeenRequest);
}
