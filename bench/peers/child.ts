/** Child processes of a benchmark: started, waited for, and ended for sure. */
import { type ChildProcess, fork, spawn } from "node:child_process";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { fileURLToPath } from "node:url";
import type { LoadPlan, LoadResult } from "../load/plan.js";

const STOP_MS = 10_000;
const alive = new Set<ChildProcess>();
// Whatever ends the benchmark ends its children.
process.once("exit", () => {
  for (const child of alive) child.kill("SIGKILL");
});
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));

function track<T extends ChildProcess>(child: T): T {
  alive.add(child);
  child.once("close", () => alive.delete(child));
  return child;
}

/** A program of this folder that speaks by messages; `path` from `bench/`, compiled. */
export function forkBench(path: string, args: readonly string[] = []): ChildProcess {
  return track(
    fork(fileURLToPath(new URL(`../${path}`, import.meta.url)), args, {
      serialization: "advanced",
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    }),
  );
}

export function spawnProgram(command: string, args: readonly string[], cwd: string): ChildProcess {
  return track(spawn(command, args, { cwd, stdio: ["ignore", "pipe", "pipe"] }));
}

/** The next message, or an error when the child ends first or `timeoutMs` pass. */
export async function nextMessage<T>(child: ChildProcess, timeoutMs: number): Promise<T> {
  const stop = new AbortController();
  const gone = once(child, "exit", { signal: stop.signal }).then(([code]) => {
    throw new Error(`${child.spawnargs.slice(1, 3).join(" ")} ended with ${code}`);
  });
  const late = new Promise<never>((_, fail) => {
    const timer = setTimeout(() => fail(new Error(`no word from ${child.spawnargs[1]} in ${timeoutMs} ms`)), timeoutMs);
    stop.signal.addEventListener("abort", () => clearTimeout(timer));
  });
  gone.catch(() => undefined);
  try {
    const [message] = (await Promise.race([once(child, "message", { signal: stop.signal }), gone, late])) as [T];
    return message;
  } finally {
    stop.abort();
  }
}

/** SIGTERM, and SIGKILL when that is not enough. */
export async function stopChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const closed = once(child, "exit");
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
  await closed;
  clearTimeout(timer);
}

export class LoadGenerator {
  readonly #child = forkBench("load.js");

  async run(plan: LoadPlan): Promise<LoadResult> {
    const result = nextMessage<LoadResult>(this.#child, plan.warmupMs + plan.durationMs + 30_000);
    this.#child.send(plan);
    return await result;
  }

  stop(): Promise<void> {
    return stopChild(this.#child);
  }
}

export async function findFreePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("no port was given");
  return address.port;
}

/** Resolves once something accepts connections on a port of this machine. */
export async function waitForPort(port: number, timeoutMs: number): Promise<void> {
  const untilMs = performance.now() + timeoutMs;
  for (;;) {
    const socket = connect({ host: "127.0.0.1", port });
    try {
      await once(socket, "connect");
      return;
    } catch (error) {
      if (performance.now() > untilMs) throw error;
      await new Promise((done) => setTimeout(done, 50));
    } finally {
      socket.destroy();
    }
  }
}
