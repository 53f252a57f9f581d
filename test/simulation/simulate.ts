/**
 * Runs histories: `node dist/test/simulation/simulate.js [--seed N | --from N --count N] [--first]`.
 *
 * `--seed` replays one and prints its log. Seeds from 1,000,000 on give short histories. Else `count` histories run from a seed on; each that breaks a promise is printed with its
 * seed, and `--first` ends with the first. The last line is a summary as JSON; the exit code is 1 when a promise was broken.
 */
import { parseArgs } from "node:util";
import { checkHistory, type Violation } from "./checker.js";
import { runHistory } from "./history.js";
import type { LogEntry } from "./log-entry.js";
import { inMacrotask } from "./virtual-clock.js";

export interface Summary {
  readonly histories: number;
  readonly entries: number;
  readonly failed: readonly number[];
  readonly cpuMs: number;
}

/** Printed of each kind of summary. */
const SHOWN_AT_MOST = 20;

const { values } = parseArgs({
  options: {
    seed: { type: "string" },
    from: { type: "string", default: "1" },
    count: { type: "string", default: "1000" },
    first: { type: "boolean", default: false },
  },
});

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

function printViolations(seed: number, violations: readonly Violation[]): void {
  for (const { t, words } of violations) print(`seed ${seed}, ${(t / 1_000).toFixed(3)} s: ${words}`);
}

function describe({ t, wall: _, type, ...rest }: LogEntry): string {
  return `${(t / 1_000).toFixed(3).padStart(10)} ${type} ${JSON.stringify(rest)}`;
}

async function replay(seed: number): Promise<boolean> {
  const errors: string[] = [];
  const { plan, log } = await inMacrotask(() => runHistory(seed, (_fields, message) => errors.push(message)));
  print(JSON.stringify(plan, null, 2));
  for (const entry of log) print(describe(entry));
  for (const message of new Set(errors)) print(`logged: ${message}`);
  const violations = checkHistory(log);
  printViolations(seed, violations);
  return violations.length === 0;
}

async function runMany(from: number, count: number, stopAtFirst: boolean): Promise<Summary> {
  const failed: number[] = [];
  let entries = 0;
  let histories = 0;
  const before = process.cpuUsage();
  for (let seed = from; seed < from + count && !(stopAtFirst && failed.length > 0); seed++) {
    const { log } = await inMacrotask(() => runHistory(seed));
    const violations = checkHistory(log);
    histories += 1;
    entries += log.length;
    if (violations.length === 0) continue;
    failed.push(seed);
    if (failed.length <= SHOWN_AT_MOST) printViolations(seed, violations);
  }
  const { user, system } = process.cpuUsage(before);
  return { histories, entries, failed, cpuMs: Math.round((user + system) / 1_000) };
}

if (values.seed !== undefined) {
  process.exitCode = (await replay(Number(values.seed))) ? 0 : 1;
} else {
  const summary = await runMany(Number(values.from), Number(values.count), values.first);
  if (summary.failed.length > 0) print("replay one alone: node dist/test/simulation/simulate.js --seed <seed>");
  print(JSON.stringify(summary));
  process.exitCode = summary.failed.length === 0 ? 0 : 1;
}
