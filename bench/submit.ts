/**
 * The heavy path: how many submissions a second are made durable, and how soon a task's request is at the model server.
 * `npm run bench:submit -- [options]`
 *
 *   --quick          short measurements
 *   --seconds N      per measurement, default 10
 *   --connections N  in the saturated measurements, default 64
 *   --folder PATH    where the data folder is made (its disk is what is measured); default: the system's temporary folder
 *   --json FILE      all numbers
 *
 * The model server runs in this process, so that "sent" and "seen" are read from one clock; the load is sent by another.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Histogram } from "./load/histogram.js";
import type { LoadPlan } from "./load/plan.js";
import { readNotes } from "./notes.js";
import { LoadGenerator } from "./peers/child.js";
import { ModelServer } from "./peers/model-server.js";
import { type SluicePeer, startSluice } from "./peers/sluice.js";
import { describeMachine, formatMachine, formatTarget, Progress, printSection, writeJson } from "./report/run.js";
import { formatCount, formatErrors, formatMs, formatTable } from "./report/table.js";
import { measureIdle } from "./submit-idle.js";

const { values: flags } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    seconds: { type: "string", default: "10" },
    connections: { type: "string", default: "64" },
    folder: { type: "string", default: tmpdir() },
    json: { type: "string" },
  },
});
const TARGET_PER_SECOND = 2000;
const TARGET_P99_MS = 15;
const TARGET_IDLE_P50_MS = 5;

/** Saturated, before each measurement and on the same processes. */
const WARMUP_MS = flags.quick ? 2_000 : 5_000;

interface Measurement {
  readonly name: string;
  /** Whether the model server answers; while it does not, nothing but submission is at work. */
  readonly drains: boolean;
  /** Arrivals per second; null: saturated. */
  readonly rate: number | null;
}

const MEASUREMENTS: readonly Measurement[] = [
  { name: "saturated, server busy", drains: false, rate: null },
  { name: "2,000/s, server busy", drains: false, rate: TARGET_PER_SECOND },
  { name: "saturated, queue draining", drains: true, rate: null },
  { name: "2,000/s, queue draining", drains: true, rate: TARGET_PER_SECOND },
];

interface Row {
  readonly name: string;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Tasks the model server saw per second meanwhile. */
  readonly drainedPerSecond: number;
  readonly errors: Readonly<Record<string, number>>;
}

const notes = readNotes();

function planFor(sluice: SluicePeer, { rate }: Measurement): LoadPlan {
  return {
    host: sluice.host,
    port: sluice.port,
    request: {
      method: "POST",
      path: `${sluice.prefix}/tasks/process`,
      headers: { "content-type": "text/plain; charset=utf-8" },
      bodies: notes,
    },
    connections: rate === null ? Number(flags.connections) : 256,
    rate,
    warmupMs: flags.quick ? 500 : 2000,
    durationMs: flags.quick ? 2000 : Number(flags.seconds) * 1000,
    expect: { statuses: [200, 202], bytes: null },
  };
}

/** Each measurement gets a Sluice of its own: an earlier one's queue must not be in the way. */
async function measure(measurement: Measurement, generator: LoadGenerator): Promise<Row> {
  const model = await ModelServer.start();
  const sluice = await startSluice({ workers: 1, upstreamPort: model.port, folder });
  try {
    model.isHolding = !measurement.drains;
    // A process that has just started compiles its code for seconds. What queues up meanwhile would be all that a fixed rate measures.
    await generator.run({ ...planFor(sluice, { ...measurement, rate: null }), warmupMs: 0, durationMs: WARMUP_MS });
    const seenBefore = model.seen;
    const result = await generator.run(planFor(sluice, measurement));
    const latencies = Histogram.from(result.latencies);
    const seconds = result.durationMs / 1000;
    return {
      name: measurement.name,
      perSecond: result.answers / seconds,
      p50Ms: latencies.quantile(0.5),
      p99Ms: latencies.quantile(0.99),
      drainedPerSecond: (model.seen - seenBefore) / seconds,
      errors: result.errors,
    };
  } finally {
    model.release();
    await sluice.stop();
    await model.stop();
  }
}

function report(rows: readonly Row[], idle: Histogram): void {
  const lines = rows.map((row) => [
    row.name,
    formatCount(row.perSecond),
    formatMs(row.p50Ms),
    formatMs(row.p99Ms),
    formatCount(row.drainedPerSecond),
    formatErrors(row.errors),
  ]);
  const header = ["durable submissions", "per second", "p50 ms", "p99 ms", "drained/s", "errors"];
  printSection("Submissions", formatTable(header, lines));
  const quantiles = [0.5, 0.9, 0.99].map((share) => formatMs(idle.quantile(share)));
  printSection(
    "Idle: from sending to the model server seeing it",
    formatTable(["tasks", "p50 ms", "p90 ms", "p99 ms"], [[formatCount(idle.total), ...quantiles]]),
  );
  const [saturated, steady] = rows;
  const targets: string[] = [];
  if (saturated !== undefined) {
    const what = `${formatCount(TARGET_PER_SECOND)} durable submissions a second`;
    targets.push(formatTarget(what, formatCount(saturated.perSecond), saturated.perSecond >= TARGET_PER_SECOND));
  }
  if (steady !== undefined) {
    const what = `p99 at most ${TARGET_P99_MS} ms at that rate`;
    targets.push(formatTarget(what, `${formatMs(steady.p99Ms)} ms`, steady.p99Ms <= TARGET_P99_MS));
  }
  const p50 = idle.quantile(0.5);
  targets.push(
    formatTarget(`idle p50 at most ${TARGET_IDLE_P50_MS} ms`, `${formatMs(p50)} ms`, p50 <= TARGET_IDLE_P50_MS),
  );
  printSection("Targets", targets.join("\n"));
}

process.stdout.write(`# bench/submit\n\n${formatMachine(describeMachine())}, data under ${flags.folder}\n`);
const folder = mkdtempSync(join(flags.folder, "sluice-bench-"));
const generator = new LoadGenerator();
const progress = new Progress(MEASUREMENTS.length + 1);
try {
  const rows: Row[] = [];
  for (const measurement of MEASUREMENTS) {
    progress.step(measurement.name);
    rows.push(await measure(measurement, generator));
  }
  progress.step("idle");
  const idle = await measureIdle({ folder, notes, tasks: flags.quick ? 100 : 500 });
  progress.stop();
  report(rows, idle);
  if (flags.json !== undefined) writeJson(flags.json, { rows, idleCounts: idle.counts() });
} finally {
  progress.stop();
  await generator.stop();
  rmSync(folder, { recursive: true, force: true });
}
