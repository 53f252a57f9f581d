/**
 * The light path beside what else could stand there, in one run on one machine: `npm run bench:light -- [options]`.
 *
 *   --quick          about a minute: one round of short measurements
 *   --rounds N       default 3
 *   --seconds N      per measurement, default 5
 *   --soak SECONDS   instead: a steady rate, and the memory of each Sluice process over time
 *   --big            instead: bodies of 2 GB both ways, and how much each Sluice process grows
 *   --without-sluice only the others, to try the harness
 *   --json FILE      all numbers
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { runBig } from "./big.js";
import { LoadGenerator } from "./peers/child.js";
import { startHaproxy, startHttpProxy, startNginx, startUndici, startUpstream } from "./peers/foreign.js";
import type { Peer } from "./peers/peer.js";
import { startSluice } from "./peers/sluice.js";
import { compareCells, type LightRow, reportLight } from "./report/light.js";
import { describeMachine, formatMachine, Progress, writeJson } from "./report/run.js";
import { type Rounds, runRounds, SHAPES, type Timing } from "./rounds.js";
import { runSoak } from "./soak.js";

const { values: flags } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    rounds: { type: "string", default: "3" },
    seconds: { type: "string", default: "5" },
    soak: { type: "string" },
    big: { type: "boolean", default: false },
    "without-sluice": { type: "boolean", default: false },
    json: { type: "string" },
  },
});

function readTiming(): Timing {
  if (flags.quick) return { rounds: 1, warmupMs: 250, durationMs: 750 };
  return { rounds: Number(flags.rounds), warmupMs: 1000, durationMs: Number(flags.seconds) * 1000 };
}

async function startPeers(upstream: Peer, folder: string): Promise<{ peers: Peer[]; missing: string[] }> {
  const peers: Peer[] = [upstream];
  const missing: string[] = [];
  const foreign = { nginx: startNginx, HAProxy: startHaproxy, undici: startUndici, "http-proxy-3": startHttpProxy };
  for (const [name, start] of Object.entries(foreign)) {
    const peer = await start(upstream, folder);
    if (peer === undefined) missing.push(name);
    else peers.push(peer);
  }
  if (flags["without-sluice"]) return { peers, missing: [...missing, "Sluice"] };
  for (const workers of [1, 2]) peers.push(await startSluice({ workers, upstreamPort: upstream.port, folder }));
  return { peers, missing };
}

async function compare(upstream: Peer, folder: string): Promise<LightRow[]> {
  const { peers, missing } = await startPeers(upstream, folder);
  const generator = new LoadGenerator();
  const timing = readTiming();
  const progress = new Progress(timing.rounds * SHAPES.length * peers.length);
  const onStep = (what: string) => progress.step(what);
  try {
    const rounds: Rounds = { generator, peers, shapes: SHAPES, timing, onStep };
    const rows = compareCells(await runRounds(rounds));
    progress.stop();
    reportLight(rows, missing);
    return rows;
  } finally {
    progress.stop();
    await generator.stop();
    for (const peer of peers.slice(1)) await peer.stop();
  }
}

const folder = mkdtempSync(join(tmpdir(), "sluice-bench-"));
const upstream = await startUpstream();
process.stdout.write(`# bench/light\n\n${formatMachine(describeMachine())}\n`);
try {
  let results: unknown;
  if (flags.soak !== undefined) results = await runSoak(upstream, folder, Number(flags.soak));
  else if (flags.big) results = await runBig(upstream, folder);
  else results = await compare(upstream, folder);
  if (flags.json !== undefined) writeJson(flags.json, results);
} finally {
  await upstream.stop();
  rmSync(folder, { recursive: true, force: true });
}
