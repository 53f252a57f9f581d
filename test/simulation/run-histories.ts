/** Runs `simulate.ts` in a process of its own and reads its summary. */
import { spawn } from "node:child_process";
import { join } from "node:path";
import type { Summary } from "./simulate.js";

export interface Ran extends Summary {
  /** What it printed before the summary: the seeds that broke a promise, and how. */
  readonly told: string[];
}

/** @param dir the compiled folder to run, this one or a mutant's */
export async function runHistories(dir: string, args: readonly string[]): Promise<Ran> {
  const child = spawn(process.execPath, [join(dir, "test/simulation/simulate.js"), ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    // Without what the test runner puts into every process below it: it doubles the time.
    env: { ...process.env, NODE_OPTIONS: "" },
  });
  const output = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const)
    child[name].on("data", (chunk: Buffer) => {
      output[name] += chunk.toString();
    });
  const code = await new Promise((resolve, reject) => child.once("error", reject).once("close", resolve));
  const lines = output.stdout.trimEnd().split("\n");
  try {
    return { ...(JSON.parse(lines.at(-1)!) as Summary), told: lines.slice(0, -1) };
  } catch {
    throw new Error(`the simulation ended with ${String(code)}: ${output.stderr.slice(-2_000)}`);
  }
}
