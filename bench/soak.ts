/** Memory at a steady rate: flat or not, process by process. */

import { SMALL_ANSWER } from "./peers/answer.js";
import { LoadGenerator } from "./peers/child.js";
import type { Peer } from "./peers/peer.js";
import { readRssMib } from "./peers/procfs.js";
import { startSluice } from "./peers/sluice.js";
import { formatTarget, Progress, printSection } from "./report/run.js";
import { formatCount, formatErrors, formatMib, formatTable, median } from "./report/table.js";

const RATE = 1000;
const SAMPLE_MS = 1000;
/** Columns of the table. */
const SHOWN = 10;
/** Growth from the second quarter's median to the last quarter's that still counts as flat: garbage is collected when V8 likes. */
const FLAT_MIB = 8;

export interface SoakRow {
  readonly process: string;
  /** One per second. */
  readonly rssMib: number[];
  readonly growthMib: number;
}

function growth(samples: readonly number[]): number {
  const quarter = Math.floor(samples.length / 4);
  return median(samples.slice(-quarter)) - median(samples.slice(quarter, 2 * quarter));
}

export async function runSoak(upstream: Peer, folder: string, seconds: number): Promise<SoakRow[]> {
  const sluice = await startSluice({ workers: 1, upstreamPort: upstream.port, folder });
  const generator = new LoadGenerator();
  const samples = sluice.processes.map(({ name }) => ({ process: name, rssMib: [] as number[] }));
  const progress = new Progress(seconds);
  const sampler = setInterval(() => {
    progress.step("seconds");
    sluice.processes.forEach(({ pid }, index) => void samples[index]?.rssMib.push(readRssMib(pid)));
  }, SAMPLE_MS);
  try {
    const body = Buffer.alloc(1024, "Seen on 3 March 2021 by Dr Khan. ");
    const result = await generator.run({
      host: sluice.host,
      port: sluice.port,
      request: {
        method: "POST",
        path: `${sluice.prefix}/process`,
        headers: { "content-type": "text/plain" },
        bodies: [body],
      },
      connections: 128,
      rate: RATE,
      warmupMs: 0,
      durationMs: seconds * 1000,
      expect: { statuses: [200], bytes: SMALL_ANSWER.length },
    });
    const rows = samples.map((each) => ({ ...each, growthMib: growth(each.rssMib) }));
    progress.stop();
    report(rows, seconds, `${formatCount(result.answers)} answers, errors: ${formatErrors(result.errors)}`);
    return rows;
  } finally {
    clearInterval(sampler);
    progress.stop();
    await generator.stop();
    await sluice.stop();
  }
}

function report(rows: readonly SoakRow[], seconds: number, outcome: string): void {
  const moments = Array.from({ length: SHOWN }, (_, index) => Math.floor(((index + 1) * seconds) / SHOWN));
  const header = ["resident MiB after", ...moments.map((moment) => `${moment} s`), "growth"];
  const lines = rows.map(({ process, rssMib, growthMib }) => [
    process,
    ...moments.map((moment) => formatMib(rssMib[Math.min(moment, rssMib.length) - 1] ?? Number.NaN)),
    formatMib(growthMib),
  ]);
  const targets = rows.map(({ process, growthMib }) =>
    formatTarget(
      `${process} flat (grows less than ${FLAT_MIB} MiB)`,
      `${formatMib(growthMib)} MiB`,
      growthMib < FLAT_MIB,
    ),
  );
  printSection(
    `Memory over ${seconds} s at ${formatCount(RATE)} req/s`,
    formatTable(header, lines),
    outcome,
    targets.join("\n"),
  );
}
