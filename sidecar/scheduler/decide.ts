/**
 * What the dispatcher should do next: pure functions of what waits, what is asked for and what is known of the models.
 * They never look at a clock or a database, and never log.
 */
import type { ModelState } from "../../core/contract/models.js";
import { type RouteTable, TASK_TYPES } from "../../core/contract/routes.js";
import type { LaneBacklog } from "../tasks/store.js";
import { nextLiftMs, rankOf } from "./order.js";

export const LOWEST_PRIORITY = 9;

/** Something that may start now, and its rank among all that may (`order.ts`). */
export interface RankedLine extends LaneBacklog {
  readonly rank: number;
}

/**
 * Ranks over all models what is due, and tells when a rank improves by itself.
 * @param gateUrgency the most urgent priority among gated requests that wait, which share the permits; Infinity when none does
 */
export function rankLines(
  backlog: readonly LaneBacklog[],
  { nowMs, ageingMs, gateUrgency }: { nowMs: number; ageingMs: number; gateUrgency: number },
): { lines: RankedLine[]; urgency: number; nextLiftMs: number } {
  const due = backlog.filter(
    (each): each is LaneBacklog & { oldestMs: number } => each.due > 0 && each.oldestMs !== null,
  );
  const urgency = Math.min(...due.map((each) => each.priority));
  const best = Math.min(urgency, gateUrgency);
  return {
    lines: due.map((each) => ({ ...each, rank: rankOf(each, best, nowMs, ageingMs) })),
    urgency,
    nextLiftMs: Math.min(...due.map((each) => nextLiftMs(each, best, nowMs, ageingMs) ?? Number.POSITIVE_INFINITY)),
  };
}

/** Permit requests of one lane that are waiting in the limiter, by rank (index 0..9). */
export type Outstanding = readonly number[];

export interface WantedPermits {
  readonly rank: number;
  readonly count: number;
}

/**
 * How many permits to ask for, at which ranks, for one lane.
 *
 * Up to `concurrency` requests wait for it. A request cannot be moved up once it stands in the limiter, so a more urgent arrival, or a
 * line that gained a rank, gets one of its own; whichever is granted first takes the best task there is, so the late urgent one really
 * goes first. A request that then finds nothing gives its permit back.
 */
export function planPermits(
  lane: readonly Pick<RankedLine, "rank" | "due">[],
  outstanding: Outstanding,
  concurrency: number,
): WantedPermits[] {
  const due = new Array<number>(LOWEST_PRIORITY + 1).fill(0);
  for (const line of lane) due[line.rank] = (due[line.rank] ?? 0) + line.due;

  const wanted: WantedPermits[] = [];
  let tasks = 0;
  let asked = 0;
  for (let rank = 0; rank <= LOWEST_PRIORITY; rank++) {
    tasks += due[rank] ?? 0;
    asked += outstanding[rank] ?? 0;
    const count = Math.min(concurrency, tasks) - asked;
    if (count <= 0) continue;
    wanted.push({ rank, count });
    asked += count;
  }
  return wanted;
}

/** What a start of an absent model for its waiting tasks is weighed against. */
export interface StartQuestion {
  /** The best rank among the model's lines, and how long its oldest task has waited. */
  readonly rank: number;
  readonly waitedMs: number;
  readonly ageingMs: number;
  /** The best rank among what waits for models that are loaded; null when nothing does. */
  readonly loadedRank: number | null;
  /** True when a call could start at once. */
  readonly hasFreeSlot: boolean;
}

/**
 * Whether a model that is not loaded should be started now. While every slot is taken and loaded models have work at least as urgent, a
 * start would only take memory from them: work is grouped by loaded model, for as long as `ageing` at most.
 */
export function isStartDue(question: StartQuestion): boolean {
  const { rank, waitedMs, ageingMs, loadedRank, hasFreeSlot } = question;
  return hasFreeSlot || loadedRank === null || rank < loadedRank || waitedMs >= ageingMs;
}

/** What to do for a model that has due tasks. */
export type ModelStep = "dispatch" | "start" | "wait" | "fail";

/**
 * @param state      undefined when the model is unknown
 * @param unknownMs  how long it has been unknown while tasks waited for it
 * @param graceMs    a container that restarts is away for a moment; after this long its tasks fail
 */
export function decideModelStep(
  state: ModelState | undefined,
  onDemand: boolean,
  unknownMs: number,
  graceMs: number,
): ModelStep {
  if (state === undefined) return unknownMs >= graceMs ? "fail" : "wait";
  if (state === "ready") return "dispatch";
  // A draining one, too: wanted, it goes on, or is started again after its end.
  return onDemand ? "start" : "wait";
}

/** True for a task whose answer is a run that goes on after 202 (training, evaluation). */
export function isTraining(task: string): boolean {
  return Object.hasOwn(TASK_TYPES, task) && TASK_TYPES[task]!.tracked;
}

/** What {@link trainingClasses} found, as long as its table is in use: it is asked for every permit and every claim. */
const knownTrainings = new WeakMap<RouteTable, ReadonlySet<string>>();

/**
 * Classes all of whose routes are trainings: their tasks hold a model's training slot instead of an inference slot.
 * @param routes never changed; a new configuration brings a new table
 */
export function trainingClasses(routes: RouteTable): ReadonlySet<string> {
  const known = knownTrainings.get(routes);
  if (known !== undefined) return known;
  const found = findTrainings(routes);
  knownTrainings.set(routes, found);
  return found;
}

function findTrainings(routes: RouteTable): Set<string> {
  const training = new Set<string>();
  const other = new Set<string>(["interactive"]);
  for (const [pattern, rule] of Object.entries(routes)) {
    const prefix = pattern.endsWith("*") ? pattern.slice(0, -1) : null;
    const tracked = Object.entries(TASK_TYPES).some(
      ([task, type]) => type.tracked && (prefix === null ? task === pattern : task.startsWith(prefix)),
    );
    (tracked ? training : other).add(rule.class);
  }
  for (const name of other) training.delete(name);
  return training;
}
