/**
 * The queue itself: how fast tasks are kept, started and ended while few or a million wait, beside BullMQ on a Redis that keeps every
 * write. `npm run bench:queue -- [options]`
 *
 *   --quick          10,000 waiting at the most
 *   --tasks N        worked off per measurement, default 3,000
 *   --folder PATH    where the data is kept (its disk is what is measured); default: the system's temporary folder
 *   --json FILE      all numbers
 *
 * The work does nothing in both, and each queue is driven by one process. Sluice commits to SQLite with `synchronous=FULL`; Redis runs
 * with `appendfsync always`. Without redis-server only Sluice with its own limiter is measured.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Histogram } from "./load/histogram.js";
import { type RunningRedis, startRedis } from "./peers/redis.js";
import { openBullQueue } from "./queue/bullmq-queue.js";
import type { QueuePeer, Worked } from "./queue/peer.js";
import { measurePushed } from "./queue/pushed.js";
import { measureRestart } from "./queue/restart.js";
import { openSluiceQueue } from "./queue/sluice-queue.js";
import { describeMachine, formatMachine, formatTarget, Progress, printSection, writeJson } from "./report/run.js";
import { formatCount, formatMs, formatRatio, formatTable } from "./report/table.js";

const { values: flags } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    tasks: { type: "string", default: "3000" },
    folder: { type: "string", default: tmpdir() },
    json: { type: "string" },
  },
});
const TASKS = Number(flags.tasks);
/** With nothing else waiting: the tasks that are worked off, and no more. */
const DEPTHS = flags.quick ? [0, 10_000] : [0, 10_000, 1_000_000];
const SUBMITTERS = 64;
/** A worker that is told to stop ends what it has begun: more than was asked for is worked off. */
const SPARE = 200;
const CONCURRENCY = 4;
const RESTART_TASKS = 100_000;
const TARGETS = { dispatchRatio: 2, restartMs: 5_000, pushedMs: 50 };

interface Row {
  readonly name: string;
  readonly waiting: number;
  readonly submitPerSecond: number;
  readonly submit: Histogram;
  /** One at a time: the spans are those of a slot. */
  readonly single: Worked;
  /** Four at a time: how many are worked off per second. */
  readonly parallel: Worked;
}

async function measure(peer: QueuePeer, waiting: number): Promise<Row> {
  // A process that has just started compiles its code: the first tasks of each kind are not counted.
  await peer.fill(500);
  await peer.work(500, CONCURRENCY);
  await peer.fill(waiting);
  const submit = new Histogram();
  const submitted = 2 * TASKS + SPARE;
  const submitMs = await submitMany(peer, submitted, submit);
  const single = await peer.work(TASKS, 1);
  const parallel = await peer.work(TASKS, CONCURRENCY);
  return { name: peer.name, waiting, submitPerSecond: (submitted * 1_000) / submitMs, submit, single, parallel };
}

async function submitMany(peer: QueuePeer, count: number, latencies: Histogram): Promise<number> {
  const startedMs = performance.now();
  let left = count;
  const submit = async () => {
    while (left-- > 0) {
      const sentMs = performance.now();
      await peer.submit();
      latencies.record(performance.now() - sentMs);
    }
  };
  await Promise.all(Array.from({ length: SUBMITTERS }, submit));
  return performance.now() - startedMs;
}

function reportQueues(rows: readonly Row[]): void {
  const header = [
    "queue",
    "waiting",
    "submit/s",
    "p50 ms",
    "p99 ms",
    "dispatch p50",
    "p99",
    "finish p50",
    "p99",
    "worked/s",
  ];
  const lines = rows.map((row) => [
    row.name,
    formatCount(row.waiting),
    formatCount(row.submitPerSecond),
    formatMs(row.submit.quantile(0.5)),
    formatMs(row.submit.quantile(0.99)),
    formatMs(row.single.dispatch.quantile(0.5)),
    formatMs(row.single.dispatch.quantile(0.99)),
    formatMs(row.single.finish.quantile(0.5)),
    formatMs(row.single.finish.quantile(0.99)),
    formatCount((row.parallel.tasks * 1_000) / row.parallel.durationMs),
  ]);
  printSection("Submitting, starting, ending", formatTable(header, lines));
}

function reportTargets(rows: readonly Row[], pushed: Histogram, restartMs: number): void {
  const lines: string[] = [];
  for (const name of new Set(rows.filter((row) => row.name.startsWith("Sluice")).map((row) => row.name))) {
    const own = rows.filter((row) => row.name === name);
    const [empty, full] = [own[0]!, own.at(-1)!];
    const ratio = full.single.dispatch.quantile(0.99) / empty.single.dispatch.quantile(0.99);
    const what = `${name}: dispatch p99 with ${formatCount(full.waiting)} waiting at most ${TARGETS.dispatchRatio} times that with none`;
    lines.push(formatTarget(what, `${formatRatio(ratio)} times`, ratio <= TARGETS.dispatchRatio));
  }
  const p99 = pushed.quantile(0.99);
  const spread = `p50 ${formatMs(pushed.quantile(0.5))} ms, p99 ${formatMs(p99)} ms`;
  lines.push(formatTarget(`a result is pushed within ${TARGETS.pushedMs} ms`, spread, p99 <= TARGETS.pushedMs));
  const restart = `kill -9 to ready with ${formatCount(RESTART_TASKS)} waiting within ${TARGETS.restartMs} ms`;
  lines.push(formatTarget(restart, `${formatCount(restartMs)} ms`, restartMs <= TARGETS.restartMs));
  printSection("Targets", lines.join("\n"));
}

process.stdout.write(`# bench/queue\n\n${formatMachine(describeMachine())}, data under ${flags.folder}\n`);
const folder = mkdtempSync(join(flags.folder, "sluice-bench-"));
const progress = new Progress(DEPTHS.length * 3 + 2);
let redis: RunningRedis | undefined;
try {
  const rows: Row[] = [];
  for (const waiting of DEPTHS) {
    // A Redis of its own for each depth: what an earlier measurement left would be in the way.
    redis = await startRedis(folder);
    const peers: (() => Promise<QueuePeer>)[] = [() => openSluiceQueue({ folder, redisUrl: null })];
    if (redis !== undefined) {
      const { url, port } = redis;
      peers.push(
        () => openSluiceQueue({ folder, redisUrl: url }),
        () => openBullQueue(port),
      );
    }
    for (const open of peers) {
      const peer = await open();
      progress.step(`${peer.name}, ${waiting} waiting`);
      rows.push(await measure(peer, waiting));
      await peer.stop();
    }
    await redis?.stop();
  }
  progress.step("pushed results");
  const pushed = await measurePushed(folder, flags.quick ? 50 : 300);
  progress.step("restart");
  const restartMs = await measureRestart(folder, RESTART_TASKS);
  progress.stop();
  reportQueues(rows);
  reportTargets(rows, pushed, restartMs);
  if (redis === undefined)
    process.stdout.write("\nredis-server is not installed: BullMQ and the Redis limiter are left out.\n");
  if (flags.json !== undefined)
    writeJson(flags.json, { rows: rows.map(asNumbers), pushed: pushed.counts(), restartMs });
} finally {
  progress.stop();
  await redis?.stop();
  rmSync(folder, { recursive: true, force: true });
}

function asNumbers({ submit, single, parallel, ...row }: Row): object {
  const spans = ({ dispatch, finish, ...rest }: Worked) => ({
    ...rest,
    dispatch: dispatch.counts(),
    finish: finish.counts(),
  });
  return { ...row, submit: submit.counts(), single: spans(single), parallel: spans(parallel) };
}
