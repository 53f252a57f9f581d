/** Gathers what stands between a task and its start, for `explain.ts` to put in words. Reads alone. */
import type { RouteTable } from "../../core/contract/routes.js";
import { isFinal, type TaskWhy } from "../../core/contract/tasks.js";
import type { Clock } from "../../core/runtime/clock.js";
import type { ModelCatalogue } from "../models/catalogue.js";
import type { TaskRow, TaskStore } from "../tasks/store.js";
import { decideModelStep, trainingClasses } from "./decide.js";
import { explainWait, summarizeRun, summarizeWait, tellStart, type WaitState } from "./explain.js";
import type { Forecast } from "./forecast.js";
import type { PermitState, Permits } from "./limiter.js";

export interface WhyOptions {
  readonly store: TaskStore;
  readonly catalogue: ModelCatalogue;
  readonly permits: Pick<Permits, "state">;
  readonly forecast: Pick<Forecast, "expect">;
  readonly clock: Clock;
  readonly routes: () => RouteTable;
  readonly startTimeoutMs: () => number;
}

/** Bound on the limiter's answer: one whose Redis is away answers never. */
const PERMITS_WITHIN_MS = 1_000;

/** @returns null when there is no such task */
export type Why = (uuid: string) => Promise<TaskWhy | null>;

export function createWhy(options: WhyOptions): Why {
  const { store, catalogue, permits, forecast, clock } = options;

  async function permitState(task: TaskRow): Promise<PermitState | null> {
    const entry = catalogue.get(task.model);
    const asked = { model: entry?.name ?? task.model, class: task.class, concurrency: entry?.concurrency ?? 1 };
    const answered = new AbortController();
    const state = permits.state(asked).catch(() => null);
    const late = clock.sleep(PERMITS_WITHIN_MS, answered.signal).then(() => null);
    try {
      return await Promise.race([state, late]);
    } finally {
      answered.abort();
    }
  }

  function ofOther(task: TaskRow): TaskWhy {
    const sinceMs = isFinal(task.status) ? null : (store.attempts(task.uuid).at(-1)?.startedAtMs ?? null);
    const { uuid, status } = task;
    return { uuid, status, waiting_for: [], position: null, eta_seconds: null, summary: summarizeRun(task, sinceMs) };
  }

  return async (uuid) => {
    const before = store.get(uuid);
    if (before === null) return null;
    const state = before.status === "pending" ? await permitState(before) : null;
    // The limiter took its time; everything else is read in one turn.
    const task = store.get(uuid);
    if (task === null) return null;
    if (task.status !== "pending") return ofOther(task);
    const position = store.position(uuid) ?? 0;
    const model = catalogue.get(task.model);
    const foreseen = forecast.expect(task, position);
    const expected = state === null ? { ...foreseen, startMs: null } : foreseen;
    const wait: WaitState = {
      nowMs: clock.now(),
      task,
      training: trainingClasses(options.routes()).has(task.class),
      position,
      model,
      // How long an unknown model has been unknown is the dispatcher's to know; until it gives up, it waits.
      step: decideModelStep(model?.state, model?.onDemand ?? false, 0, options.startTimeoutMs()),
      permits: state,
      expected,
    };
    const waitingFor = explainWait(wait);
    const startMs = tellStart(wait);
    return {
      uuid,
      status: task.status,
      waiting_for: waitingFor,
      position,
      eta_seconds: startMs === null ? null : Math.round(startMs / 1_000),
      summary: summarizeWait(waitingFor, startMs),
    };
  };
}
