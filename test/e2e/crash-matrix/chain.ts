/** One sidecar after the other is killed; the last one brings everything to its end. */
import type { Test } from "tap";
import { startSidecarProcess } from "../../helpers/sidecar.js";
import { checkFolder, checkLedger } from "./checks.js";
import { type Drive, type Entry, plantLeftovers, type Stage, startStage } from "./stage.js";

export interface Row {
  readonly spec: string;
  readonly drive: Drive;
}

/** Long enough that a check's cost is shared, short enough that a failure says where. */
const CHAIN = 7;
/** That it comes back is shown here; how fast it does on a machine of its own (5 s) in restart.test.ts. */
const UP_WITHIN_MS = 45_000;

export function chainsOf(rows: readonly Row[]): Row[][] {
  return Array.from({ length: Math.ceil(rows.length / CHAIN) }, (_, index) =>
    rows.slice(index * CHAIN, (index + 1) * CHAIN),
  );
}

export function nameOf(chain: readonly Row[]): string {
  return `killed at ${chain.map(({ spec }) => spec).join(", ")}`;
}

export async function runChain(t: Test, rows: readonly Row[]): Promise<void> {
  const stage = await startStage(t);
  const ledger: Entry[] = [];
  for (const { spec, drive } of rows) await killAt(t, { stage, ledger, spec, drive });
  await plantLeftovers(stage.dataDir, ledger.length > 0);
  const sidecar = await startSidecarProcess({ dataDir: stage.dataDir, config: stage.config });
  checkUp(t, await sidecar.ready, sidecar.stderr());
  await checkLedger(t, stage, sidecar.client, ledger);
  await checkFolder(t, stage.dataDir);
  sidecar.kill("SIGKILL");
  await sidecar.exited;
}

async function killAt(t: Test, { stage, ledger, spec, drive }: Row & { stage: Stage; ledger: Entry[] }): Promise<void> {
  await plantLeftovers(stage.dataDir, ledger.length > 0);
  const sidecar = await startSidecarProcess({ dataDir: stage.dataDir, config: stage.config, failpoints: spec });
  const readyMs = await sidecar.ready;
  if (readyMs !== null) {
    checkUp(t, readyMs, sidecar.stderr());
    await stage.drive(drive, sidecar, ledger);
  }
  const end = await Promise.race([
    sidecar.exited,
    new Promise((resolve) => setTimeout(resolve, 20_000, "alive").unref()),
  ]);
  t.equal(end, "SIGKILL", `${spec} was reached: add to the drives what reaches it`);
  sidecar.kill("SIGKILL");
  await sidecar.exited;
}

function checkUp(t: Test, readyMs: number | null, stderr: string): void {
  t.ok(readyMs !== null && readyMs < UP_WITHIN_MS, `up in ${readyMs} ms ${readyMs === null ? stderr : ""}`);
}
