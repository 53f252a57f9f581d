/** A Redis of the test's own: `redis-server` on a free port, which can be killed, paused and started again. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Teardown } from "./gazetteer.js";

/** Why no Redis can be had here, or null. */
export function redisSkipReason(): string | null {
  try {
    execFileSync("redis-server", ["--version"], { stdio: "ignore" });
    return null;
  } catch {
    return "redis-server is not installed";
  }
}

export interface TestRedis {
  readonly url: string;
  readonly port: number;
  /** One command, its answer as text: `FLUSHALL`, `SCRIPT FLUSH`, `GET a`. */
  ask(command: string): Promise<string>;
  /** Ends it as a crash would. */
  kill(): Promise<void>;
  /** On the same port again; what it knew is there only when it was saved. */
  start(): Promise<void>;
  pause(): void;
  resume(): void;
}

const READY_MS = 10_000;

export interface RedisServerOptions {
  /** Default true; false reserves a port where nothing listens yet. */
  readonly running?: boolean;
  /** More flags of redis-server. */
  readonly args?: readonly string[];
  /** What it answers to PING once it is there; default `+PONG`. */
  readonly isReady?: string;
}

export async function startRedis(t: Teardown, options: RedisServerOptions = {}): Promise<TestRedis> {
  const folder = await mkdtemp(join(tmpdir(), "sluice-redis-"));
  const port = await freePort();
  let server: ChildProcess | null = null;

  async function kill(): Promise<void> {
    if (server === null || server.exitCode !== null) return;
    const gone = once(server, "exit");
    server.kill("SIGKILL");
    await gone;
    server = null;
  }

  async function start(): Promise<void> {
    const own = ["--port", String(port), "--bind", "127.0.0.1", "--dir", folder, "--save", "", "--appendonly", "no"];
    const child = spawn("redis-server", [...own, ...(options.args ?? [])], { stdio: "ignore" });
    server = child;
    const untilMs = Date.now() + READY_MS;
    while ((await ask("PING").catch(() => "")) !== (options.isReady ?? "+PONG")) {
      if (child.exitCode !== null || Date.now() > untilMs) throw new Error("redis-server did not come up");
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  function ask(command: string): Promise<string> {
    return new Promise((resolve, reject) => {
      const socket = net.connect(port, "127.0.0.1", () => socket.write(`${command}\r\n`));
      let text = "";
      socket.setTimeout(READY_MS, () => socket.destroy(new Error("Redis is silent")));
      socket.on("error", reject);
      socket.on("close", () => reject(new Error("Redis closed the connection")));
      socket.on("data", (chunk) => {
        text += chunk.toString();
        if (!text.endsWith("\r\n")) return;
        resolve(text.trimEnd());
        socket.destroy();
      });
    });
  }

  t.teardown(async () => {
    await kill();
    await rm(folder, { recursive: true, force: true });
  });
  if (options.running !== false) await start();
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    ask,
    kill,
    start,
    pause: () => void server?.kill("SIGSTOP"),
    resume: () => void server?.kill("SIGCONT"),
  };
}

async function freePort(): Promise<number> {
  const probe = net.createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address() as net.AddressInfo;
  probe.close();
  await once(probe, "close");
  return port;
}
