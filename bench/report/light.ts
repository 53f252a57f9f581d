/** From measured cells to the comparison: ratios are taken within a round and then the median, so that drift cancels out. */
import type { Cell } from "../rounds.js";
import { formatTarget, printSection } from "./run.js";
import { formatCount, formatErrors, formatMs, formatRatio, formatTable, median } from "./table.js";

export interface LightRow {
  readonly shape: string;
  readonly peer: string;
  readonly isSaturated: boolean;
  readonly perSecond: number;
  /** Of the bare undici forwarder's throughput in the same round. */
  readonly ofUndici: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly addedP50Ms: number;
  readonly addedP99Ms: number;
  /** Processor time per request. */
  readonly cpuMicroseconds: number;
  readonly errors: Readonly<Record<string, number>>;
}

export function compareCells(cells: readonly Cell[]): LightRow[] {
  return cells.map((cell) => {
    const sameShape = cells.filter(({ shape }) => shape === cell.shape);
    const direct = sameShape.find(({ peer }) => peer.name === "direct");
    const undici = sameShape.find(({ peer }) => peer.name === "bare undici");
    const p50Ms = cell.latencies.quantile(0.5);
    const p99Ms = cell.latencies.quantile(0.99);
    return {
      shape: cell.shape.name,
      peer: cell.peer.name,
      isSaturated: cell.shape.rate === null,
      perSecond: median(cell.throughputs),
      ofUndici: median(cell.throughputs.map((value, round) => value / (undici?.throughputs[round] ?? Number.NaN))),
      p50Ms,
      p99Ms,
      addedP50Ms: p50Ms - (direct?.latencies.quantile(0.5) ?? Number.NaN),
      addedP99Ms: p99Ms - (direct?.latencies.quantile(0.99) ?? Number.NaN),
      cpuMicroseconds: median(cell.cpuMicroseconds),
      errors: cell.errors,
    };
  });
}

function reportTargets(rows: readonly LightRow[]): string {
  const lines: string[] = [];
  for (const row of rows.filter(({ peer }) => peer === "Sluice, 1 worker")) {
    if (row.isSaturated) {
      const what = `at least 0.9 of bare undici's throughput (${row.shape})`;
      lines.push(formatTarget(what, formatRatio(row.ofUndici), row.ofUndici >= 0.9));
    } else if (row.shape.includes("1,000/s")) {
      const measured = `${formatMs(row.addedP50Ms)} and ${formatMs(row.addedP99Ms)} ms`;
      const isMet = row.addedP50Ms <= 0.5 && row.addedP99Ms <= 3;
      lines.push(formatTarget(`added p50 at most 0.5 ms, p99 at most 3 ms (${row.shape})`, measured, isMet));
    }
  }
  const failed = rows.filter(({ peer, errors }) => peer.startsWith("Sluice") && Object.keys(errors).length > 0);
  lines.push(
    formatTarget("no errors through Sluice", `${failed.length} of the measurements had some`, failed.length === 0),
  );
  return lines.join("\n");
}

export function reportLight(rows: readonly LightRow[], missing: readonly string[]): void {
  for (const shape of new Set(rows.map((row) => row.shape))) {
    const header = ["peer", "req/s", "of undici", "p50 ms", "p99 ms", "added p50", "added p99", "CPU µs/req", "errors"];
    const lines = rows
      .filter((row) => row.shape === shape)
      .map((row) => [
        row.peer,
        formatCount(row.perSecond),
        formatRatio(row.ofUndici),
        formatMs(row.p50Ms),
        formatMs(row.p99Ms),
        formatMs(row.addedP50Ms),
        formatMs(row.addedP99Ms),
        formatCount(row.cpuMicroseconds),
        formatErrors(row.errors),
      ]);
    printSection(shape, formatTable(header, lines));
  }
  if (missing.length > 0) printSection("Not measured", `${missing.join(", ")}: not installed here, or left out.`);
  if (rows.some(({ peer }) => peer.startsWith("Sluice"))) printSection("Targets", reportTargets(rows));
}
