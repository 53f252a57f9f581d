/**
 * Promises 1, 2, 3, 6 and 10 at every named place: a real sidecar is killed there by SIGKILL, the next one is killed at the next place
 * while it takes up what the first one left, and the last one of a chain must bring everything to its one end.
 */
import t, { type Test } from "tap";
import { FAILPOINTS } from "../../core/runtime/failpoint-list.js";
import { startSidecarProcess } from "../helpers/sidecar.js";
import { checkFolder, checkLedger } from "./crash-matrix/checks.js";
import { type Drive, type Entry, plantLeftovers, type Stage, startStage } from "./crash-matrix/stage.js";

interface Row {
  readonly spec: string;
  readonly drive: Drive;
}

/** The same places once more, where they hold an answer's file or a training. */
const MORE: readonly Row[] = [
  ...["create", "sync", "rename"].map((step) => ({ spec: `blob.before_${step}=kill@2`, drive: "big" as const })),
  ...["rename", "sync"].map((step) => ({ spec: `blob.after_${step}=kill@2`, drive: "big" as const })),
  ...["claim.before_commit", "attempt.after_send", "attempt.after_answer", "finish.before_commit"].map((place) => ({
    spec: `${place}=kill`,
    drive: "training" as const,
  })),
];
const ROWS: readonly Row[] = [
  ...FAILPOINTS.map((place) => ({ spec: `${place}=kill`, drive: "everything" as const })),
  ...MORE,
];
/** Long enough that a check's cost is shared, short enough that a failure says where. */
const CHAIN = 7;
const AT_ONCE = 2;
/** That it comes back is shown here; how fast it does on a machine of its own (5 s) in restart.test.ts. */
const UP_WITHIN_MS = 15_000;

const chains = Array.from({ length: Math.ceil(ROWS.length / CHAIN) }, (_, index) =>
  ROWS.slice(index * CHAIN, (index + 1) * CHAIN),
);

t.jobs = AT_ONCE;
for (const rows of chains) {
  t.test(`killed at ${rows.map(({ spec }) => spec).join(", ")}`, async (t) => {
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
  });
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
    new Promise((resolve) => setTimeout(resolve, 15_000, "alive").unref()),
  ]);
  t.equal(end, "SIGKILL", `${spec} was reached: add to the drives what reaches it`);
  sidecar.kill("SIGKILL");
  await sidecar.exited;
}

function checkUp(t: Test, readyMs: number | null, stderr: string): void {
  t.ok(readyMs !== null && readyMs < UP_WITHIN_MS, `up in ${readyMs} ms ${readyMs === null ? stderr : ""}`);
}
