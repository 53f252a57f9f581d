/**
 * Promise 5, at each claim, as published: lines are the priorities of a model; a line gains a rank for every `ageing` its oldest task has
 * waited, until it stands beside the most urgent; beside each other lines take turns; inside a line tenants take turns by weight, then age.
 */
import type { KnownTask, Ledger } from "./ledger.js";
import type { LogEntry } from "./log-entry.js";

type Accuse = (words: string) => void;
type Commit = LogEntry & { type: "commit" };
type Claim = Commit & { claim: NonNullable<Commit["claim"]> };

/** Until a class that was never asked for is asked for too. */
const SEEN_WITHIN_MS = 3_000;
/** A pause further ahead was written before the clock was set back. */
const LONGEST_PAUSE_MS = 600_000;
/** Two tenants of equal weight that both wait are never further apart than this, in starts. */
const APART_AT_MOST = 2;

/** When each line was served last. */
export class Turns {
  readonly #served = new Map<string, number>();
  #count = 0;

  of(model: string, priority: number): number {
    return this.#served.get(`${model}/${priority}`) ?? 0;
  }

  serve({ model, priority }: KnownTask): void {
    this.#served.set(`${model}/${priority}`, ++this.#count);
  }
}

function isClaim(entry: Commit): entry is Claim {
  return entry.claim !== null;
}

/** What could have been claimed instead. */
function candidates({ task: uuid, claim, t }: Claim, ledger: Ledger): KnownTask[] {
  const claimed = ledger.tasks.get(uuid)!;
  return ledger.ofModel(claimed.model, "pending").filter((task) => {
    if (!isDue(task, claim.nowMs)) return false;
    if (claim.classes.includes(task.class)) return true;
    return task.training === claimed.training && t - Math.max(task.since, ledger.calmSince) > SEEN_WITHIN_MS;
  });
}

function isDue({ notBeforeMs }: KnownTask, nowMs: number): boolean {
  return notBeforeMs <= nowMs || notBeforeMs > nowMs + LONGEST_PAUSE_MS;
}

interface Line {
  readonly priority: number;
  readonly rank: number;
  readonly served: number;
}

function linesOf(
  tasks: readonly KnownTask[],
  nowMs: number,
  { ageingMs, turns }: { ageingMs: number; turns: Turns },
): Line[] {
  const mostUrgent = Math.min(...tasks.map((task) => task.priority));
  return [...new Set(tasks.map((task) => task.priority))].map((priority) => {
    const ofLine = tasks.filter((task) => task.priority === priority);
    const waitedMs = nowMs - Math.min(...ofLine.map((task) => task.createdAtMs));
    const lifted = priority - Math.max(0, Math.floor(waitedMs / ageingMs));
    const rank = Math.max(mostUrgent, lifted);
    return { priority, rank, served: turns.of(ofLine[0]!.model, priority) };
  });
}

/** The lines that may be served: the best rank, and of those the one served longest ago. */
function firstLines(lines: readonly Line[]): Line[] {
  const best = Math.min(...lines.map((line) => line.rank));
  const beside = lines.filter((line) => line.rank === best);
  const longestAgo = Math.min(...beside.map((line) => line.served));
  return beside.filter((line) => line.served === longestAgo);
}

export function judgeOrder(entry: Commit, ledger: Ledger, { turns, accuse }: { turns: Turns; accuse: Accuse }): void {
  if (!isClaim(entry)) return;
  const claimed = ledger.taskOf(entry);
  const { nowMs } = entry.claim;
  if (!isDue(claimed, nowMs)) accuse(`promise 5: ${claimed.uuid} was started before its time`);
  const lines = linesOf(candidates(entry, ledger), nowMs, { ageingMs: ledger.facts.ageingMs, turns });
  const first = firstLines(lines);
  if (first.length > 0 && !first.some((line) => line.priority === claimed.priority)) {
    const line = lines.find((each) => each.priority === claimed.priority);
    accuse(
      `promise 5: ${claimed.uuid} (priority ${claimed.priority}, rank ${line?.rank}) was started before priority ${first[0]!.priority}, rank ${first[0]!.rank}`,
    );
  }
  turns.serve(claimed);
}

interface TenantTurns {
  starts: number;
  waiting: number;
  /** How far ahead of each other tenant it was when both began to wait. */
  readonly ahead: Map<string, number>;
}

/** Fair share inside each line, between tenants that wait at the same time, counted in first starts. */
export class Fairness {
  readonly #lines = new Map<string, Map<string, TenantTurns>>();
  /** Lines whose tenants got turns back: a cancellation moves what comes later. */
  readonly #moved = new Set<string>();

  see(entry: Commit, ledger: Ledger, accuse: Accuse): void {
    const task = ledger.taskOf(entry);
    const key = `${task.model}/${entry.priority}`;
    if (entry.from === "pending" && entry.to === "failed") this.#moved.add(key);
    const line = this.#lines.get(key) ?? new Map<string, TenantTurns>();
    this.#lines.set(key, line);
    if (entry.from === null) this.#arrive(task.tenant, line);
    else if (task.fence === 0 && isClaim(entry)) this.#start(entry, { ledger, line, key, accuse });
    else if (task.fence === 0 && entry.from === "pending") line.get(task.tenant)!.waiting -= 1;
  }

  #arrive(name: string, line: Map<string, TenantTurns>): void {
    const tenant = line.get(name) ?? { starts: 0, waiting: 0, ahead: new Map() };
    line.set(name, tenant);
    tenant.waiting += 1;
    if (tenant.waiting > 1) return;
    for (const [other, its] of line) {
      tenant.ahead.set(other, tenant.starts - its.starts);
      its.ahead.set(name, its.starts - tenant.starts);
    }
  }

  #start(
    entry: Claim,
    { ledger, line, key, accuse }: { ledger: Ledger; line: Map<string, TenantTurns>; key: string; accuse: Accuse },
  ): void {
    const task = ledger.taskOf(entry);
    const tenant = line.get(task.tenant)!;
    tenant.starts += 1;
    tenant.waiting -= 1;
    if (this.#moved.has(key)) return;
    const isFirst = (each: KnownTask) => each.fence === 0 && each.priority === task.priority && each !== task;
    const others = candidates(entry, ledger).filter(isFirst);
    for (const name of new Set(others.map((each) => each.tenant))) {
      if (name === task.tenant) continue;
      if (ledger.facts.weights[name] !== undefined || ledger.facts.weights[task.tenant] !== undefined) continue;
      const apart = tenant.starts - line.get(name)!.starts - (tenant.ahead.get(name) ?? 0);
      if (apart > APART_AT_MOST)
        accuse(`promise 5: tenant '${task.tenant}' started ${apart} tasks more than '${name}', who waited as well`);
    }
    const older = others.find((each) => each.tenant === task.tenant && each.order < task.order);
    if (older !== undefined) accuse(`promise 5: ${task.uuid} was started before the older ${older.uuid} of its tenant`);
  }
}
