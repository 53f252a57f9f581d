/**
 * The model registry: versions up and down beside a gRPC stream that stores nothing and beside `cp` and `sync`, memory, watchers, lists.
 * `npm run bench:registry -- [options]`
 *
 *   --quick          without 2g, one round: about 80 seconds
 *   --sizes LIST     of 1k,1m,256m,2g; default: all, some 6 minutes
 *   --rounds N       of each size
 *   --folder PATH    where the data folder is made (its disk is what is measured, 40 GB for 2g); default: the system's temporary folder
 *   --json FILE      all numbers
 *
 * The servers and their client are three processes; ratios are taken within a round.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { makeManyVersions, measureListing, measureWatchers } from "./registry/crowds.js";
import { type Move, measureSize, SIZES } from "./registry/moves.js";
import { ClientProcess, ServerProcess } from "./registry/peers.js";
import { reportRegistry } from "./report/registry.js";
import { describeMachine, formatMachine, Progress, writeJson } from "./report/run.js";

const { values: flags } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    sizes: { type: "string" },
    rounds: { type: "string" },
    folder: { type: "string", default: tmpdir() },
    json: { type: "string" },
  },
});
const LISTED_VERSIONS = 100_000;
const WATCHERS = 1_000;
const WARMUP = { bytes: 64 * 2 ** 20, atATime: 4, times: 1 };

const names = (flags.sizes ?? (flags.quick ? "1k,1m,256m" : "1k,1m,256m,2g")).split(",");
const sizes = SIZES.filter(({ name }) => names.includes(name)).map((size) => ({
  ...size,
  rounds: flags.rounds === undefined ? (flags.quick ? 1 : size.rounds) : Number(flags.rounds),
}));

process.stdout.write(`# bench/registry\n\n${formatMachine(describeMachine())}, data under ${flags.folder}\n`);
const folder = mkdtempSync(join(flags.folder, "sluice-bench-"));
const progress = new Progress(sizes.reduce((total, { rounds }) => total + 2 * rounds, 0) + 4);
const running: { stop(): Promise<void> }[] = [];
try {
  progress.step("making 100,000 versions");
  await makeManyVersions(folder, LISTED_VERSIONS);
  const registry = await ServerProcess.start("registry", "sluice-server.js", [folder]);
  running.push(registry);
  const bare = await ServerProcess.start("bare", "bare-server.js");
  running.push(bare);
  const client = new ClientProcess();
  running.unshift(client);
  const rig = { client, registry, bare, folder, onStep: (what: string) => progress.step(what) };
  progress.step("warming up");
  for (const { port } of [registry, bare]) {
    for (const type of ["upload", "download"] as const) await client.obey({ type, port, shape: WARMUP });
    await client.obey({ type: "forget", port });
  }
  const moves: Move[] = [];
  for (const size of sizes) moves.push(...(await measureSize(rig, size)));
  progress.step("watchers");
  const watching = await measureWatchers(rig, { watchers: WATCHERS, rounds: flags.quick ? 3 : 10 });
  progress.step("lists");
  await measureListing(rig, { pageSize: 1_000, versions: LISTED_VERSIONS });
  const listings = [
    await measureListing(rig, { pageSize: 1_000, versions: LISTED_VERSIONS }),
    await measureListing(rig, { pageSize: 0, versions: LISTED_VERSIONS }),
  ];
  progress.stop();
  reportRegistry({ moves, watching, listings });
  if (flags.json !== undefined) writeJson(flags.json, { moves, watching, listings });
} finally {
  progress.stop();
  for (const each of running) await each.stop();
  rmSync(folder, { recursive: true, force: true });
}
