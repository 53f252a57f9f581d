/** A redis-server that writes each command to the disk before it answers. */
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { findFreePort, spawnProgram, stopChild, waitForPort } from "./child.js";
import { findProgram } from "./foreign.js";

const START_MS = 10_000;

export interface RunningRedis {
  readonly url: string;
  readonly port: number;
  /** Harmless twice. */
  stop(): Promise<void>;
}

/** @returns undefined where redis-server is not installed */
export async function startRedis(folder: string): Promise<RunningRedis | undefined> {
  const program = findProgram("redis-server");
  if (program === undefined) return undefined;
  const dir = mkdtempSync(join(folder, "redis-"));
  const port = await findFreePort();
  const kept = ["--appendonly", "yes", "--appendfsync", "always", "--save", ""];
  const child = spawnProgram(program, ["--bind", "127.0.0.1", "--port", String(port), "--dir", dir, ...kept], dir);
  child.stdout?.resume();
  child.stderr?.resume();
  await waitForPort(port, START_MS);
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    stop: async () => {
      await stopChild(child);
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
