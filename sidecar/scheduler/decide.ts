/**
 * What the dispatcher should do next: pure functions of what waits, what is asked for and what is known of the models.
 * They never look at a clock or a database, and never log.
 */
import type { ModelState } from "../../core/contract/models.js";
import { type RouteTable, TASK_TYPES } from "../../core/contract/routes.js";
import type { LaneBacklog } from "../tasks/store.js";

export const LOWEST_PRIORITY = 9;

/** Permit requests of one lane that are waiting in the limiter, by priority (index 0..9). */
export type Outstanding = readonly number[];

export interface WantedPermits {
  readonly priority: number;
  readonly count: number;
}

/**
 * How many permits to ask for, at which priorities, for one lane.
 *
 * Up to `concurrency` requests wait for it. A request cannot be moved up once it stands in the limiter, so a more urgent arrival gets
 * one of its own; whichever is granted first takes the best task there is, so the late urgent one really goes first. A request
 * that then finds nothing gives its permit back.
 */
export function planPermits(
  lane: readonly Pick<LaneBacklog, "priority" | "due">[],
  outstanding: Outstanding,
  concurrency: number,
): WantedPermits[] {
  const due = new Array<number>(LOWEST_PRIORITY + 1).fill(0);
  for (const group of lane) due[group.priority] = (due[group.priority] ?? 0) + group.due;

  const wanted: WantedPermits[] = [];
  let tasks = 0;
  let asked = 0;
  for (let priority = 0; priority <= LOWEST_PRIORITY; priority++) {
    tasks += due[priority] ?? 0;
    asked += outstanding[priority] ?? 0;
    const count = Math.min(concurrency, tasks) - asked;
    if (count <= 0) continue;
    wanted.push({ priority, count });
    asked += count;
  }
  return wanted;
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
  return onDemand && state !== "draining" ? "start" : "wait";
}

/** True for a task whose answer is a run that goes on after 202 (training, evaluation). */
export function isTraining(task: string): boolean {
  return Object.hasOwn(TASK_TYPES, task) && TASK_TYPES[task]!.tracked;
}

/** Classes all of whose routes are trainings: their tasks hold a model's training slot instead of an inference slot. */
export function trainingClasses(routes: RouteTable): Set<string> {
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
