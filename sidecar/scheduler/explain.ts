/** What a task waits for, or how it fares, in words. Pure: the state comes in, sentences come out. */
import type { ModelEntry } from "../../core/contract/models.js";
import { type TaskStatus, type WaitCode, type WaitingFor, wireTime } from "../../core/contract/tasks.js";
import type { TaskRow } from "../tasks/store.js";
import type { ModelStep } from "./decide.js";
import type { Expected } from "./forecast.js";
import type { PermitState, Slots } from "./limiter.js";

export interface WaitState {
  readonly nowMs: number;
  readonly task: Pick<TaskRow, "model" | "class" | "attempt" | "notBeforeMs" | "errorMessage">;
  /** It takes its model's training slot. */
  readonly training: boolean;
  readonly position: number;
  readonly model: Pick<ModelEntry, "name" | "state" | "onDemand" | "problem"> | undefined;
  /** What the dispatcher does for its model now. */
  readonly step: ModelStep;
  /** Null when the limiter cannot be asked: its Redis is away. */
  readonly permits: PermitState | null;
  readonly expected: Expected;
}

/** The weightiest first; empty when nothing holds it up. */
export function explainWait(state: WaitState): WaitingFor[] {
  return [
    ...explainModel(state),
    ...explainNotBefore(state),
    ...explainBudgets(state),
    ...explainOrder(state),
    ...explainSlots(state),
  ];
}

/** @returns milliseconds until it starts, about; null where nobody can tell: what was learned says nothing of when Redis is back */
export function tellStart({ permits, expected }: Pick<WaitState, "permits" | "expected">): number | null {
  return permits === null ? null : expected.startMs;
}

function explainModel(state: WaitState): WaitingFor[] {
  const { model, step, expected } = state;
  if (step === "dispatch") return [];
  const name = `model '${model?.name ?? state.task.model}'`;
  if (model === undefined) {
    const message = `There is no ${name} at the moment; unless it comes back soon, the task fails.`;
    return [waiting(state, "model_unknown", { what: `${name}, which is not known`, inMs: null, message })];
  }
  const inMs = expected.modelMs;
  if (model.state === "draining") {
    const message = `The ${name} is being stopped; when it has, it can be started again.`;
    return [waiting(state, "draining", { what: `${name}, which is being stopped`, inMs: null, message })];
  }
  if (step === "start" || model.state === "starting") {
    const again = model.state === "failed" ? " again; the last start failed" : "";
    const message = `The ${name} is being started${again}.`;
    return [waiting(state, "model_starting", { what: `${name} to start`, inMs, message })];
  }
  const why = model.problem === null ? "" : `: ${model.problem}`;
  const message = `The ${name} does not answer${why}; it is looked at again and again.`;
  return [waiting(state, "model_away", { what: `${name}, which does not answer`, inMs, message })];
}

function explainNotBefore(state: WaitState): WaitingFor[] {
  const { attempt, notBeforeMs, errorMessage } = state.task;
  const inMs = notBeforeMs - state.nowMs;
  if (inMs <= 0) return [];
  const note = errorMessage === null ? "" : ` The last one was put back: ${errorMessage}`;
  const message = `Attempt ${attempt + 1} does not begin before ${wireTime(notBeforeMs)}.${note}`;
  return [waiting(state, "not_before", { what: "its next attempt's time", inMs, message })];
}

function explainBudgets(state: WaitState): WaitingFor[] {
  if (state.permits === null) {
    const message =
      "The limiter's Redis does not answer. What runs goes on; starts resume by themselves when it is back.";
    return [waiting(state, "redis", { what: "Redis", inMs: null, message })];
  }
  const { budget, rate } = state.permits;
  const waits: WaitingFor[] = [];
  if (budget !== null && budget.left <= 0) {
    const what = `the budget of class '${state.task.class}'`;
    const { amount, everyMs } = budget.refill;
    const message = `All starts that ${what} allows have been used; ${amount} come every ${inWords(everyMs)}.`;
    waits.push(waiting(state, "class_budget", { what, inMs: everyMs, message }));
  }
  if (rate.inMs > 0 && !state.training) {
    const what = `the rate limit of ${nameOf(state)}`;
    const message =
      rate.rate === null
        ? `The ${nameOf(state)} asked for a pause.`
        : `The ${nameOf(state)} takes ${rate.rate.amount} calls per ${inWords(rate.rate.perMs)}.`;
    waits.push(waiting(state, "rate_limit", { what, inMs: rate.inMs, message }));
  }
  return waits;
}

function explainOrder(state: WaitState): WaitingFor[] {
  if (state.position <= 0) return [];
  const tasks = state.position === 1 ? "1 task that goes" : `${state.position} tasks that go`;
  const message = state.position === 1 ? "1 task goes before it." : `${state.position} tasks go before it.`;
  return [waiting(state, "ahead", { what: `${tasks} before it`, inMs: state.expected.startMs, message })];
}

function explainSlots(state: WaitState): WaitingFor[] {
  const { permits, training, expected } = state;
  if (permits === null) return [];
  const name = nameOf(state);
  const found: WaitingFor[] = [];
  const isFull = ({ running, limit }: Slots) => running >= limit;
  if (training && isFull(permits.training)) {
    const message = `Another training runs on ${name}, and it takes one at a time.`;
    found.push(
      waiting(state, "training_slot", { what: `the training slot of ${name}`, inMs: expected.slotMs, message }),
    );
  }
  if (isFull(permits.model)) {
    const { running } = permits.model;
    const message = `${calls(running)} on ${name}, as many as it takes at a time.`;
    const inMs = training ? null : expected.slotMs;
    found.push(waiting(state, "model_slot", { what: `a slot of ${name}`, inMs, message }));
  }
  if (isFull(permits.global)) {
    const { running } = permits.global;
    const message = `${calls(running)} over all models, as many as scheduler.max_concurrent_tasks allows.`;
    const what = "one of the slots that all models share";
    found.push(waiting(state, "global_slot", { what, inMs: expected.globalMs, message }));
  }
  return found;
}

const calls = (count: number) => (count === 1 ? "1 call runs" : `${count} calls run`);
const nameOf = (state: WaitState) => `model '${state.model?.name ?? state.task.model}'`;

function waiting(
  state: WaitState,
  code: WaitCode,
  { what, inMs, message }: { what: string; inMs: number | null; message: string },
): WaitingFor {
  return { what, code, until: inMs === null ? null : wireTime(state.nowMs + Math.round(inMs)), message };
}

/** One sentence over everything a task waits for. */
export function summarizeWait(waitingFor: readonly WaitingFor[], startMs: number | null): string {
  if (waitingFor.length === 0) return "Nothing holds it up: it is about to start.";
  const whats = waitingFor.map(({ what }) => what);
  const list = whats.length === 1 ? whats[0]! : `${whats.slice(0, -1).join(", ")} and ${whats.at(-1)}`;
  const start = startMs === null ? "when it starts cannot be told yet" : `it starts in about ${inWords(startMs)}`;
  return `It waits for ${list}; ${start}.`;
}

type Told = Pick<TaskRow, "model" | "attempt" | "reason" | "errorMessage" | "finishedAtMs"> & { status: TaskStatus };

/** One sentence on a task that does not wait. @param sinceMs start of its newest attempt */
export function summarizeRun(task: Told, sinceMs: number | null): string {
  const count = task.attempt === 1 ? "1 attempt" : `${task.attempt} attempts`;
  const attempts = task.attempt === 0 ? "before it was started" : `after ${count}`;
  if (task.status === "succeeded") return `It succeeded at ${timeOf(task.finishedAtMs)}, ${attempts}.`;
  if (task.status === "failed") {
    const words = task.errorMessage === null ? "" : `: ${task.errorMessage}`;
    return `It failed (${task.reason ?? "internal"}) at ${timeOf(task.finishedAtMs)}, ${attempts}${words}`;
  }
  const what =
    task.status === "running" ? `Its training runs on model '${task.model}'` : `Model '${task.model}' has it`;
  return `${what} since ${timeOf(sinceMs)}, attempt ${task.attempt}.`;
}

const timeOf = (epochMs: number | null) => (epochMs === null ? "a time not known" : wireTime(epochMs));

/** `40 s`, `12 min`, `3 h`: as exact as an estimate is. */
function inWords(spanMs: number): string {
  const seconds = Math.max(1, Math.round(spanMs / 1_000));
  if (seconds < 90) return `${seconds} s`;
  return seconds < 90 * 60 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3_600)} h`;
}
