/**
 * Cold starts: from the moment a model server is ready to the moment the first request that waited for it arrives there.
 * `npm run bench:coldstart -- [options]`
 *
 *   --rounds N       starts per load time, default 10
 *   --json FILE      all numbers
 *
 * Each start is another model, so that nothing is warm; load times are spread, so that readiness falls between two checks anywhere.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { startSluice } from "./peers/sluice.js";
import { describeMachine, formatMachine, formatTarget, Progress, printSection, writeJson } from "./report/run.js";
import { formatMs, formatTable, median } from "./report/table.js";

const { values: flags } = parseArgs({
  options: { rounds: { type: "string", default: "10" }, json: { type: "string" } },
});
const TARGET_MS = 250;
const LOADS_MS = [0, 500, 2_000, 8_000];
const ROUNDS = Number(flags.rounds);
const COLD_SERVER = fileURLToPath(new URL("./peers/cold-server.js", import.meta.url));

interface Start {
  readonly loadMs: number;
  /** From ready to the request's arrival. */
  readonly delayMs: number;
  /** From the client's request to its answer. */
  readonly totalMs: number;
}

const plans = LOADS_MS.flatMap((loadMs) =>
  Array.from({ length: ROUNDS }, (_, round) => ({
    name: `cold-${loadMs}-${round}`,
    // A few primes' worth of spread between the rounds.
    loadMs: loadMs + round * 37,
    base: loadMs,
  })),
);

const folder = mkdtempSync(join(tmpdir(), "sluice-coldstart-"));
const progress = new Progress(plans.length);
const starts: Start[] = [];
const sluice = await startSluice({
  workers: 1,
  folder,
  settings: {
    discovery: {
      docker: { enabled: false },
      process: plans.map(({ name, loadMs }) => ({
        name,
        command: [process.execPath, COLD_SERVER, "--port={port}", `--load-ms=${loadMs}`],
      })),
    },
  },
});
try {
  for (const { name, base } of plans) {
    const sentMs = performance.now();
    const answer = await fetch(`http://${sluice.host}:${sluice.port}/models/${name}/process`, {
      method: "POST",
      headers: { "content-type": "text/plain" },
      body: "Seen on 3 March 2021",
      signal: AbortSignal.timeout(60_000),
    });
    const text = await answer.text();
    if (answer.status !== 200) throw new Error(`${name} answered ${answer.status}: ${text}`);
    const { readyAt, seenAt } = JSON.parse(text) as { readyAt: number; seenAt: number };
    starts.push({ loadMs: base, delayMs: seenAt - readyAt, totalMs: performance.now() - sentMs });
    progress.step(name);
  }
} finally {
  progress.stop();
  await sluice.stop();
  rmSync(folder, { recursive: true, force: true });
}

const rows = LOADS_MS.map((loadMs) => {
  const delays = starts.filter((each) => each.loadMs === loadMs).map(({ delayMs }) => delayMs);
  return { loadMs, delays };
});
const worstMs = Math.max(...starts.map(({ delayMs }) => delayMs));
printSection(
  "Cold starts",
  formatMachine(describeMachine()),
  formatTable(
    ["loads for about", "starts", "median ms", "worst ms"],
    rows.map(({ loadMs, delays }) => [
      `${loadMs / 1_000} s`,
      String(delays.length),
      formatMs(median(delays)),
      formatMs(Math.max(...delays)),
    ]),
  ),
  formatTarget(
    `from ready to the first forwarded byte at most ${TARGET_MS} ms`,
    `worst ${formatMs(worstMs)} ms`,
    worstMs <= TARGET_MS,
  ),
);
if (flags.json !== undefined) writeJson(flags.json, starts);
