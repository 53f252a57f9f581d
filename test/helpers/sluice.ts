/** The real thing for a test: `sluice serve` as its own process, on a free port, with a data folder of its own. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { ConfigInput } from "../../config/schema.js";
import type { Teardown } from "./gazetteer.js";

const MAIN = fileURLToPath(new URL("../../cli/main.js", import.meta.url));
const READY_WITHIN_MS = 60_000;
const STOP_WITHIN_MS = 20_000;

export interface Pids {
  readonly sidecar: number;
  readonly proxies: readonly number[];
}

export interface SluiceOptions {
  readonly config?: ConfigInput;
  /** Default: a new one. Name one to start again where another was. */
  readonly dataDir?: string;
  /** Default 0. */
  readonly port?: number;
  readonly env?: Readonly<Record<string, string>>;
  /** Another program that takes the command's words. */
  readonly program?: string;
}

export interface RunningSluice {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** Where its model registry listens: `host:port`. */
  readonly registry: string;
  /** Those of now: a restart changes them. */
  pids(): Pids;
  readonly dataDir: string;
  readonly configFile: string;
  /** Everything it has printed, one line each. */
  readonly lines: readonly string[];
  /** Resolves with the next line whose `event` is this, counted from the call. */
  nextEvent(event: string, withinMs?: number): Promise<Record<string, unknown>>;
  stop(): Promise<number | null>;
  readonly exited: Promise<number | null>;
}

export async function startSluice(t: Teardown, options: SluiceOptions = {}): Promise<RunningSluice> {
  const folder = await mkdtemp(join(tmpdir(), "sluice-"));
  const dataDir = options.dataDir ?? join(folder, "data");
  const configFile = join(folder, "sluice.yaml");
  const registry = { port: 0, ...options.config?.registry };
  const quiet: ConfigInput = { discovery: { docker: { enabled: false } }, ...options.config, registry };
  await writeFile(configFile, JSON.stringify(quiet));
  const port = String(options.port ?? 0);
  const child = spawn(
    process.execPath,
    [options.program ?? MAIN, "serve", "--config", configFile, "--data-dir", dataDir, "--port", port],
    {
      stdio: ["ignore", "pipe", "pipe"],
      env: { PATH: process.env.PATH, HOME: process.env.HOME, ...options.env },
    },
  );
  const exited = once(child, "exit").then(([code]) => code as number | null);
  const stop = () => stopChild(child, exited);
  t.teardown(async () => {
    await stop();
    await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  });
  const output = collect(child);
  const ready = await output.next("ready", READY_WITHIN_MS).catch((cause) => {
    throw new Error(`sluice did not become ready:\n${output.lines.join("\n")}`, { cause });
  });
  return {
    url: ready.url as string,
    port: Number(new URL(ready.url as string).port),
    pid: child.pid!,
    registry: ready.registry as string,
    pids: () => output.pids()!,
    dataDir,
    configFile,
    lines: output.lines,
    nextEvent: output.next,
    stop,
    exited,
  };
}

function collect(child: ChildProcess) {
  const lines: string[] = [];
  const waiters = new Set<{
    event: string;
    found: (line: Record<string, unknown>) => void;
    failed: (error: Error) => void;
  }>();
  let pids: Pids | undefined;
  const hear = (text: string) => {
    lines.push(text);
    const line = parseLine(text);
    if (line === null) return;
    if (line.pids !== undefined) pids = line.pids as Pids;
    for (const waiter of waiters) if (waiter.event === line.event) waiter.found(line);
  };
  createInterface({ input: child.stdout! }).on("line", hear);
  createInterface({ input: child.stderr! }).on("line", (text) => lines.push(text));
  child.once("exit", (code, signal) => {
    for (const waiter of waiters) waiter.failed(new Error(`sluice ended with ${signal ?? code}`));
  });
  const next = (event: string, withinMs = 60_000) =>
    new Promise<Record<string, unknown>>((resolve, reject) => {
      const done = () => {
        waiters.delete(waiter);
        clearTimeout(timer);
      };
      const waiter = {
        event,
        found: (line: Record<string, unknown>) => {
          done();
          resolve(line);
        },
        failed: (error: Error) => {
          done();
          reject(error);
        },
      };
      const timer = setTimeout(
        () => waiter.failed(new Error(`no '${event}' within ${withinMs} ms:\n${lines.join("\n")}`)),
        withinMs,
      );
      waiters.add(waiter);
    });
  return { lines, next, pids: () => pids };
}

function parseLine(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

async function stopChild(child: ChildProcess, exited: Promise<number | null>): Promise<number | null> {
  if (child.exitCode === null && child.signalCode === null) child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), STOP_WITHIN_MS);
  const code = await exited;
  clearTimeout(timer);
  return code;
}
