/** Feeds `pace.ts` with what happens, and answers from it when a waiting task will start. */
import { isFinal } from "../../core/contract/tasks.js";
import type { Clock } from "../../core/runtime/clock.js";
import type { ModelCatalogue } from "../models/catalogue.js";
import type { TaskRow, TaskStore } from "../tasks/store.js";
import { isTraining } from "./decide.js";
import { type Budget, estimateSlotMs, estimateStartMs } from "./estimate.js";
import type { Permits } from "./limiter.js";
import { type ClassBudget, refillOf } from "./limiter-entry.js";
import { Pace, type Run } from "./pace.js";
import { windowMs } from "./rate.js";

export interface ForecastOptions {
  readonly store: TaskStore;
  readonly catalogue: ModelCatalogue;
  readonly clock: Clock;
  readonly permits: Pick<Permits, "rateWait" | "isAway">;
  readonly limits: () => { readonly maxConcurrentTasks: number; readonly budgets: ReadonlyMap<string, ClassBudget> };
}

/** Milliseconds from now, about; null where nothing is known. */
export interface Expected {
  readonly startMs: number | null;
  readonly modelMs: number | null;
  /** Until a slot of its model comes free for whoever is first. */
  readonly slotMs: number | null;
  readonly globalMs: number | null;
}

export interface Forecast {
  /** Learns from the newest finished tasks of these classes, and what runs now. Once, before anything is dispatched. */
  seed(classes: Iterable<string>): void;
  expect(task: TaskRow, position: number): Expected;
  /** Whole seconds until a waiting task starts, about; null where nothing is known. */
  estimateSeconds(task: TaskRow, position: number): number | null;
  stop(): void;
}

/** Newest finished tasks of each class that are looked at when Sluice starts. */
const SEEDS_PER_CLASS = 50;
const MAX_SEEDED_RUNS = 1_000;
/** A task that starts within this came to a free slot. */
const NO_WAIT_MS = 250;
/** Ends that came without the task running to one. */
const TELLS_NOTHING: ReadonlySet<TaskRow["reason"]> = new Set([
  "cancelled",
  "expired",
  "model_unavailable",
  "internal",
]);

export function createForecast(options: ForecastOptions): Forecast {
  const { store, catalogue, clock, permits, limits } = options;
  const pace = new Pace();
  // A task may name its model by address; what is learned is the server's.
  const laneOf = (task: TaskRow) => ({ model: catalogue.get(task.model)?.name ?? task.model, class: task.class });
  const runOf = (task: TaskRow, sinceMs: number): Run => ({
    ...laneOf(task),
    sinceMs,
    training: isTraining(task.task),
    isCall: task.status === "scheduled",
  });

  function slotsOf(task: TaskRow): number {
    if (isTraining(task.task)) return 1;
    return Math.min(catalogue.get(task.model)?.concurrency ?? 1, limits().maxConcurrentTasks);
  }

  function learn(task: TaskRow): void {
    const nowMs = clock.elapsed();
    if (task.status === "scheduled") {
      const hadToWait = task.attempt === 1 && clock.now() - task.createdAtMs > NO_WAIT_MS;
      const budget = limits().budgets.get(task.class);
      const refreshMs = budget === undefined ? null : refillOf(budget).everyMs;
      pace.started(task.uuid, runOf(task, nowMs), { hadToWait, limit: slotsOf(task), refreshMs });
    } else if (task.status === "running") pace.accepted(task.uuid);
    else pace.ended(task.uuid, nowMs, isFinal(task.status) && !TELLS_NOTHING.has(task.reason));
  }

  function learnModels(): void {
    for (const { name, state } of catalogue.list()) pace.modelSeen(name, state, clock.elapsed());
  }

  const unsubscribe = [store.onChange(learn), catalogue.onChange(learnModels)];
  learnModels();

  /** How long ago something of the wall clock was, on the clock that never jumps. */
  const elapsedAt = (epochMs: number) => clock.elapsed() - Math.max(0, clock.now() - epochMs);

  function modelMs(task: TaskRow): number | null {
    const entry = catalogue.get(task.model);
    if (entry?.state === "ready") return 0;
    const isComing = entry?.state === "starting" || (entry?.onDemand === true && entry.state !== "draining");
    return isComing ? pace.coldStartMs(entry.name, clock.elapsed()) : null;
  }

  /** What a start of this task uses up. */
  function budgetsOf(task: TaskRow): Budget[] {
    const budgets: Budget[] = [];
    const ofClass = limits().budgets.get(task.class);
    if (ofClass !== undefined) budgets.push(pace.budget(task.class, refillOf(ofClass), clock.elapsed()));
    const { inMs, rate, left } = permits.rateWait(laneOf(task).model);
    // Trainings have no rate. A pause the server asked for is over for all at once.
    if (isTraining(task.task) || (rate === null && inMs <= 0)) return budgets;
    const refreshMs = rate === null ? 0 : windowMs(rate.perMs);
    const amount = rate?.amount ?? 1;
    budgets.push({ left, amount, refreshMs, untilRefreshMs: inMs > 0 ? inMs : refreshMs });
    return budgets;
  }

  function expect(task: TaskRow, position: number): Expected {
    const nowMs = clock.elapsed();
    const lane = laneOf(task);
    const training = isTraining(task.task);
    const remainingMs = pace.holders({ model: lane.model, training }).map((run) => pace.remainingMs(run, nowMs));
    const shared = { slots: pace.together(lane, slotsOf(task)), remainingMs, runMs: pace.runMs(lane) };
    const calls = pace.calls().map((run) => pace.remainingMs(run, nowMs));
    const prospect = {
      ...shared,
      position,
      notBeforeMs: task.notBeforeMs - clock.now(),
      modelMs: modelMs(task),
      globalMs: estimateSlotMs({
        position: 0,
        slots: limits().maxConcurrentTasks,
        remainingMs: calls,
        runMs: shared.runMs,
      }),
      budgets: budgetsOf(task),
    };
    return {
      // While nothing starts, nobody knows when something will.
      startMs: permits.isAway() ? null : estimateStartMs(prospect),
      modelMs: prospect.modelMs,
      slotMs: estimateSlotMs({ ...shared, position: 0 }),
      globalMs: prospect.globalMs,
    };
  }

  return {
    seed(classes) {
      for (const name of classes) {
        const { tasks } = store.list({ status: "succeeded", class: name, limit: SEEDS_PER_CLASS });
        for (const task of tasks.reverse()) {
          // Of a repeated task only the last attempt was a run; its start is not in the row.
          if (task.attempt === 1) pace.learnRun(laneOf(task), task.finishedAtMs! - task.startedAtMs!);
        }
      }
      for (const status of ["scheduled", "running"] as const) {
        for (const task of store.list({ status, limit: MAX_SEEDED_RUNS }).tasks) {
          const startedAtMs = store.attempts(task.uuid).at(-1)?.startedAtMs ?? clock.now();
          const terms = { hadToWait: false, limit: slotsOf(task), refreshMs: null };
          pace.started(task.uuid, runOf(task, elapsedAt(startedAtMs)), terms);
        }
      }
    },
    expect,
    estimateSeconds(task, position) {
      const { startMs } = expect(task, position);
      return startMs === null ? null : Math.round(startMs / 1_000);
    },
    stop() {
      for (const each of unsubscribe) each();
    },
  };
}
