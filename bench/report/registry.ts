/** What bench/registry measured, as tables and against its targets. */
import type { Listing, Watching } from "../registry/crowds.js";
import type { Move } from "../registry/moves.js";
import { formatTarget, printSection } from "./run.js";
import { formatCount, formatMib, formatMs, formatRatio, formatTable, median } from "./table.js";

const UPLOAD_SHARE = 0.6;
const DOWNLOAD_SHARE = 0.8;
/** Below this a call's own cost, a disk's sync above all, is what is measured. */
const BIG_BYTES = new Set(["256m", "2g"]);
const MAX_GROWTH_MIB = 64;
const MAX_DELAY_MS = 50;
const MAX_PAUSE_MS = 20;

export interface RegistryResults {
  readonly moves: readonly Move[];
  readonly watching: Watching;
  readonly listings: readonly Listing[];
}

function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}

const most = (values: readonly number[]) => (values.length === 0 ? Number.NaN : Math.max(...values));

/** Within each round, then the median of the rounds. */
export function shareOf(moves: readonly Move[], move: Move, peer: Move["peer"]): number {
  const other = moves.find(
    (each) =>
      each.peer === peer &&
      each.size === move.size &&
      each.direction === move.direction &&
      each.atATime === move.atATime,
  );
  return median(move.bytesPerSecond.map((value, round) => value / (other?.bytesPerSecond[round] ?? Number.NaN)));
}

function reportMoves(moves: readonly Move[], direction: Move["direction"]): void {
  const header = [
    "version",
    "at a time",
    "peer",
    "MiB/s",
    "of bare",
    "of cp + sync",
    "p50 ms",
    "growth MiB",
    "pause ms",
    "CPU s/GiB",
  ];
  const lines = moves
    .filter((move) => move.direction === direction)
    .map((move) => [
      move.size,
      String(move.atATime),
      move.peer,
      formatMib(median(move.bytesPerSecond) / 2 ** 20),
      formatRatio(shareOf(moves, move, "bare")),
      formatRatio(shareOf(moves, move, "cp + sync")),
      formatMs(quantile(move.timesMs, 0.5)),
      formatMib(most(move.growthMib)),
      formatMs(most(move.pausesMs)),
      BIG_BYTES.has(move.size) ? median(move.cpuSecondsPerGib).toFixed(2) : "",
    ]);
  printSection(direction === "upload" ? "Up" : "Down", formatTable(header, lines));
}

function reportCrowds({ watching, listings }: RegistryResults): void {
  const { delaysMs, growthMib } = watching;
  printSection(
    "A new version, from its commit until a watcher sees it",
    formatTable(
      ["seen", "p50 ms", "p99 ms", "last ms", "growth MiB"],
      [
        [
          formatCount(delaysMs.length),
          ...[0.5, 0.99, 1].map((share) => formatMs(quantile(delaysMs, share))),
          formatMib(growthMib),
        ],
      ],
    ),
  );
  printSection(
    "Listing 100,000 versions",
    formatTable(
      ["page", "replies", "seconds", "p50 ms", "longest pause ms", "growth MiB"],
      listings.map((listing) => [
        listing.pageSize === 0 ? "all" : formatCount(listing.pageSize),
        formatCount(listing.timesMs.length),
        listing.seconds.toFixed(2),
        formatMs(quantile(listing.timesMs, 0.5)),
        formatMs(listing.pauseMs),
        formatMib(listing.growthMib),
      ]),
    ),
  );
}

function reportTargets({ moves, watching, listings }: RegistryResults): void {
  const ours = moves.filter(({ peer }) => peer === "registry");
  const targets: string[] = [];
  for (const move of ours.filter(({ size }) => BIG_BYTES.has(size))) {
    const least = move.direction === "upload" ? UPLOAD_SHARE : DOWNLOAD_SHARE;
    const share = shareOf(moves, move, "bare");
    const what = `${move.direction} of ${move.size}, ${move.atATime} at a time, at least ${least} of the bare stream`;
    targets.push(formatTarget(what, formatRatio(share), share >= least));
  }
  const growthMib = Math.max(...ours.flatMap((move) => move.growthMib));
  targets.push(
    formatTarget(`growth below ${MAX_GROWTH_MIB} MiB`, `${formatMib(growthMib)} MiB`, growthMib < MAX_GROWTH_MIB),
  );
  const lastMs = Math.max(...watching.delaysMs);
  targets.push(
    formatTarget(`watchers within ${MAX_DELAY_MS} ms`, `${formatMs(lastMs)} ms at most`, lastMs <= MAX_DELAY_MS),
  );
  const pauseMs = Math.max(...listings.map((listing) => listing.pauseMs));
  targets.push(
    formatTarget(`no pause above ${MAX_PAUSE_MS} ms in a listing`, `${formatMs(pauseMs)} ms`, pauseMs <= MAX_PAUSE_MS),
  );
  printSection("Targets", targets.join("\n"));
}

export function reportRegistry(results: RegistryResults): void {
  reportMoves(results.moves, "upload");
  reportMoves(results.moves, "download");
  reportCrowds(results);
  reportTargets(results);
}
