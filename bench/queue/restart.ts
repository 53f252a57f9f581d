/** How long a Sluice that was killed takes to be back, with many tasks waiting for a model server that is away. */
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { startSluice } from "../peers/sluice.js";
import { fillDataDir } from "./sluice-queue.js";

/** Nobody listens there: what waits goes on waiting. */
const AWAY_PORT = 9;

/** @returns from the kill to the ready line, in ms */
export async function measureRestart(folder: string, tasks: number): Promise<number> {
  const dataDir = mkdtempSync(join(folder, "restart-"));
  await fillDataDir(dataDir, "bench", tasks);
  const options = { workers: 1, upstreamPort: AWAY_PORT, folder, dataDir };
  const first = await startSluice(options);
  const startedMs = performance.now();
  process.kill(first.pid, "SIGKILL");
  const second = await startSluice(options);
  const tookMs = performance.now() - startedMs;
  await second.stop();
  rmSync(dataDir, { recursive: true, force: true });
  return tookMs;
}
