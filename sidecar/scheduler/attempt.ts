/**
 * One attempt of one task, from the claim to what is written about it: a final state, or back to waiting.
 * Reads top to bottom: send, look at what came, settle. Trainings go on in {@link followTraining} after their 202.
 */
import { asSluiceError, type SluiceError } from "../../core/contract/errors.js";
import type { FailureReason } from "../../core/contract/tasks.js";
import type { Clock } from "../../core/runtime/clock.js";
import { below, type HttpAnswer, type HttpClient } from "../../core/runtime/http.js";
import type { Logger } from "../../core/runtime/logger.js";
import type { ModelCatalogue } from "../models/catalogue.js";
import {
  type BlobStore,
  type Claim,
  type Outcome,
  type StoredBody,
  storeBytes,
  type TaskAnswer,
  type TaskRow,
  type TaskStore,
} from "../tasks/store.js";
import { answerBusy } from "./busy.js";
import { isTraining } from "./decide.js";
import type { Permit } from "./limiter.js";
import { decideRetry, type Trouble } from "./retry.js";
import { type Caller, type CallResult, runNameOf } from "./run.js";
import { type FollowOptions, followRun, isRunKnown, LOST_AFTER_MS, POLL_MS, type RunEnd } from "./training.js";

export interface AttemptObserver {
  scheduled(task: TaskRow): void;
  completed(task: TaskRow, outcome: Outcome): void;
  requeued(task: TaskRow): void;
}

export interface AttemptsOptions {
  readonly store: TaskStore;
  readonly blobs: BlobStore;
  readonly catalogue: ModelCatalogue;
  readonly caller: Caller;
  readonly http: HttpClient;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly observer: AttemptObserver;
  readonly trackingUri: () => string;
}

export interface Attempts {
  /** Runs a claimed task to its end, its requeue, or the signal. Releases nothing but a training's call slots. */
  run(claim: Claim, permit: Permit, signal: AbortSignal): Promise<void>;
  /** Takes up a task that a crash left `scheduled` or `running`. */
  resume(claim: Claim, signal: AbortSignal): Promise<void>;
  /** Asks the model server to cancel this task's run; true when it says it will. */
  cancelTraining(task: TaskRow): Promise<{ accepted: boolean; message: string }>;
  /** Writes the end of a claimed task that will not run; tries again while the store is down. */
  end(task: TaskRow, outcome: Outcome, signal: AbortSignal): Promise<void>;
  /** Lets go of runs that are only being followed: they go on, and are followed again after the next start. */
  releaseFollowers(): void;
}

/** How much of a model server's error body stands in the task's error (its whole answer is kept apart). */
const ERROR_BODY_BYTES = 8 * 1024;
/** A small JSON answer is read to tell a busy trainer from another 503; more than this is not one. */
const SMALL_ANSWER_BYTES = 64 * 1024;
/** While the store or its disk is down, between tries to write a task's end. */
const PERSIST_PAUSE_MS = 1_000;
/** Faults of our own while a task runs: after this many attempts it fails instead of being tried again. */
const MAX_ATTEMPTS = 10;
/** A model that is not ready any more when its permit comes: look again after this. */
const NOT_READY_PAUSE_MS = 500;

export function failedOutcome(
  reason: FailureReason,
  errorMessage: string,
  answer: TaskAnswer | null,
  finishedAtMs: number,
): Outcome {
  return { status: "failed", reason, errorMessage, answer, finishedAtMs };
}

export function createAttempts(options: AttemptsOptions): Attempts {
  const { store, blobs, catalogue, caller, clock, logger, observer } = options;
  const followers = new AbortController();
  /** Trainings whose cancellation a caller asked for: their KILLED is ours. */
  const cancelled = new Set<string>();

  async function run(claim: Claim, permit: Permit, signal: AbortSignal): Promise<void> {
    const { task, payload } = claim;
    const release = catalogue.lease(task.model, `task ${task.uuid}`);
    try {
      observer.scheduled(task);
      const entry = catalogue.get(task.model);
      if (entry?.state !== "ready" || entry.url === null) return await requeue(task, NOT_READY_PAUSE_MS, null, signal);
      const result = await send(task, payload, entry.url, signal);
      if (result === null) return;
      if (result.kind === "answer" && isTraining(task.task) && result.answer.status === 202) {
        permit.releaseCall();
        return await accept(task, result.answer, signal);
      }
      await settle(task, result, signal);
    } catch (cause) {
      await answerFault(task, cause, signal);
    } finally {
      release();
    }
  }

  /** Whatever was not foreseen must not leave a task between two states until the next start. */
  async function answerFault(task: TaskRow, cause: unknown, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    const error = asSluiceError(cause);
    logger.error(
      { taskId: task.uuid, model: task.model, code: error.code, err: cause },
      "an attempt failed inside Sluice",
    );
    await comeBackLater(task, error, signal);
  }

  /** @returns null when the attempt was given up and the task waits again */
  async function send(
    task: TaskRow,
    payload: StoredBody,
    url: string,
    signal: AbortSignal,
  ): Promise<CallResult | null> {
    try {
      return await caller.call(task, payload, url, signal);
    } catch (cause) {
      if (signal.aborted) {
        // We are stopping. What can be repeated waits for the next start; a training may have been accepted: the start looks.
        if (!isTraining(task.task))
          await store.requeue(task.uuid, task.attempt, clock.now(), "interrupted by a stop of Sluice");
        return null;
      }
      const error = asSluiceError(cause);
      if (error.code === "RESULT_DAMAGED") {
        // The body that was to be sent. Nothing was sent, and no later attempt finds it whole.
        logger.error({ taskId: task.uuid, model: task.model, code: error.code, err: cause }, "a payload is damaged");
        await finish(task, failedOutcome("internal", DAMAGED_PAYLOAD, null, clock.now()), signal);
        return null;
      }
      throw cause;
    }
  }

  /** After a fault of ours: what can be repeated waits and is tried again, within a bound. */
  async function comeBackLater(task: TaskRow, error: SluiceError, signal: AbortSignal): Promise<void> {
    if (isTraining(task.task)) return finish(task, failedOutcome("lost", error.message, null, clock.now()), signal);
    if (task.attempt >= MAX_ATTEMPTS)
      return finish(task, failedOutcome("internal", error.message, null, clock.now()), signal);
    await requeue(task, error.retryAfterMs ?? 10 * PERSIST_PAUSE_MS, error.message, signal);
  }

  async function settle(task: TaskRow, result: CallResult, signal: AbortSignal): Promise<void> {
    const busy = result.kind === "answer" && isTraining(task.task) && (await isBusy(result.answer));
    // A CMS client that trains the plain way sees the busy answer itself, as it always has.
    const passBusy = busy && task.mode === "held";
    const trouble = troubleOf(result, busy);
    if (trouble !== null && !passBusy) {
      const pauseMs = decideRetry(trouble, task.attempt, !isTraining(task.task), Math.random());
      if (pauseMs !== null) {
        if (result.kind === "answer") await discard(result.answer.body);
        return await requeue(task, pauseMs, noteOf(result, busy), signal);
      }
    }
    await finish(task, await outcomeOf(task, result), signal);
  }

  async function outcomeOf(task: TaskRow, result: CallResult): Promise<Outcome> {
    const nowMs = clock.now();
    if (result.kind === "failure") {
      const reason = isTraining(task.task) && result.sent ? "lost" : "upstream_error";
      return failedOutcome(reason, failureText(task, result), null, nowMs);
    }
    const { answer } = result;
    if (answer.status < 400) {
      return { status: "succeeded", reason: null, errorMessage: null, answer, finishedAtMs: nowMs };
    }
    const text = await errorText(answer);
    return failedOutcome(answer.status < 500 ? "rejected" : "upstream_error", text, answer, nowMs);
  }

  async function accept(task: TaskRow, answer: TaskAnswer, signal: AbortSignal): Promise<void> {
    const ids = (await smallJson(answer.body)) as { run_id?: unknown } | null;
    const runId = typeof ids?.run_id === "string" ? ids.run_id : null;
    const marked = await persist(task, signal, () => store.markRunning(task.uuid, task.attempt, runId, answer));
    if (!marked) return;
    await answerBusy({ store, blobs, logger, now: clock.now }, task.model);
    await followTraining({ ...task, trackingId: runId }, signal);
  }

  /** Waits for the run's end and writes it down. */
  async function followTraining(task: TaskRow, signal: AbortSignal): Promise<void> {
    const follow = followOptions(task, AbortSignal.any([signal, followers.signal]));
    if (follow === null) {
      return await finish(task, failedOutcome("lost", "the run has no name to ask for", null, clock.now()), signal);
    }
    let end: RunEnd;
    try {
      end = await followRun(follow);
    } catch (cause) {
      if (follow.signal.aborted) return;
      throw cause;
    }
    await finish(task, await runOutcome(task, end, signal), signal);
    cancelled.delete(task.uuid);
  }

  async function runOutcome(task: TaskRow, end: RunEnd, signal: AbortSignal): Promise<Outcome> {
    const nowMs = clock.now();
    if (end.kind === "lost") {
      return failedOutcome("lost", end.why, task.answer, nowMs);
    }
    if (end.kind === "failed") {
      const reason = end.killed && cancelled.has(task.uuid) ? "cancelled" : "upstream_error";
      return failedOutcome(reason, end.message, task.answer, nowMs);
    }
    const bytes = Buffer.from(JSON.stringify(end.result, null, 2), "utf8");
    const body = await persist(task, signal, () => storeBytes(blobs, bytes));
    const answer: TaskAnswer = { status: 200, headers: ["Content-Type", "application/json"], body, upstreamMs: 0 };
    return { status: "succeeded", reason: null, errorMessage: null, answer, finishedAtMs: nowMs };
  }

  function followOptions(task: TaskRow, signal: AbortSignal): FollowOptions | null {
    const runName = runNameOf(task);
    if (runName === null) return null;
    return {
      http: options.http,
      clock,
      baseUrl: () => catalogue.get(task.model)?.url ?? null,
      runName,
      runId: task.trackingId,
      trackingUri: options.trackingUri(),
      headers: credentialsOf(task),
      signal,
    };
  }

  async function resume(claim: Claim, signal: AbortSignal): Promise<void> {
    const { task } = claim;
    const release = catalogue.lease(task.model, `task ${task.uuid}`);
    try {
      if (task.status === "running") return await followTraining(task, signal);
      if (!isTraining(task.task)) return await requeue(task, 0, "interrupted by a crash of Sluice", signal);
      await resumeUnsure(task, signal);
    } catch (cause) {
      await answerFault(task, cause, signal);
    } finally {
      release();
    }
  }

  /** A training that was being sent when we crashed: it is sent again only when it is proven not accepted, and nothing proves that. */
  async function resumeUnsure(task: TaskRow, signal: AbortSignal): Promise<void> {
    const follow = followOptions(task, AbortSignal.any([signal, followers.signal]));
    const untilMs = clock.elapsed() + LOST_AFTER_MS;
    while (follow !== null && clock.elapsed() < untilMs) {
      if ((await isRunKnown(follow)) === true) {
        const unknown: TaskAnswer = {
          status: 202,
          headers: [],
          body: await storeBytes(blobs, Buffer.alloc(0)),
          upstreamMs: 0,
        };
        await persist(task, signal, () => store.markRunning(task.uuid, task.attempt, null, unknown));
        // Not marked by us, it may have been by a former process that was still letting go: somebody must follow it.
        const now = store.get(task.uuid);
        if (now?.status === "running" && now.attempt === task.attempt) await followTraining(now, signal);
        return;
      }
      await clock.sleep(POLL_MS, follow.signal);
      if (follow.signal.aborted) return;
    }
    const text = "Sluice crashed while this training was being sent, and its model server knows no such run";
    await finish(task, failedOutcome("lost", text, null, clock.now()), signal);
  }

  async function finish(task: TaskRow, outcome: Outcome, signal: AbortSignal): Promise<void> {
    const written = await persist(task, signal, () => store.finish(task.uuid, task.attempt, outcome));
    if (written) return observer.completed(task, outcome);
    logger.warn(
      { event: "late_answer", taskId: task.uuid, model: task.model, attempt: task.attempt },
      "an older attempt's answer was refused",
    );
    if (outcome.answer !== null) await discard(outcome.answer.body);
  }

  async function requeue(task: TaskRow, pauseMs: number, note: string | null, signal: AbortSignal): Promise<void> {
    const written = await persist(task, signal, () =>
      store.requeue(task.uuid, task.attempt, clock.now() + pauseMs, note),
    );
    if (written) observer.requeued(task);
  }

  /** A task's move must reach the disk: while the store is down it is tried again, until we stop (a start then recovers the task). */
  async function persist<Value>(task: TaskRow, signal: AbortSignal, write: () => Promise<Value>): Promise<Value> {
    for (let warned = false; ; warned = true) {
      try {
        return await write();
      } catch (cause) {
        const { code } = asSluiceError(cause);
        if (signal.aborted) throw cause;
        if (!warned)
          logger.error({ taskId: task.uuid, code, err: cause }, "the task store cannot be written; trying again");
        await clock.sleep(PERSIST_PAUSE_MS, signal);
      }
    }
  }

  async function discard(body: StoredBody): Promise<void> {
    if (body.kind === "blob") await blobs.remove(body.key);
  }

  /** CMS's 503 with the ids of the active run (reference cms-api 2.2); any other 503 is a failure. */
  async function isBusy(answer: TaskAnswer): Promise<boolean> {
    if (answer.status !== 503) return false;
    const body = (await smallJson(answer.body)) as { experiment_id?: unknown; run_id?: unknown } | null;
    return body?.experiment_id !== undefined && body.run_id !== undefined;
  }

  async function smallJson(body: StoredBody): Promise<unknown> {
    if (body.kind === "blob" || body.bytes.length > SMALL_ANSWER_BYTES) return null;
    try {
      return JSON.parse(body.bytes.toString("utf8"));
    } catch {
      return null;
    }
  }

  async function errorText(answer: TaskAnswer): Promise<string> {
    const head = `the model server answered ${answer.status}`;
    if (answer.body.kind === "inline")
      return `${head}: ${answer.body.bytes.subarray(0, ERROR_BODY_BYTES).toString("utf8")}`;
    try {
      for await (const chunk of await blobs.open(answer.body)) {
        return `${head}: ${Buffer.from(chunk).subarray(0, ERROR_BODY_BYTES).toString("utf8")}`;
      }
    } catch (cause) {
      // Its status says enough to end the task; the words are an extra.
      logger.warn({ code: asSluiceError(cause).code, err: cause }, "a stored answer cannot be read");
    }
    return head;
  }

  async function cancelTraining(task: TaskRow): Promise<{ accepted: boolean; message: string }> {
    const baseUrl = catalogue.get(task.model)?.url ?? null;
    if (baseUrl === null) return { accepted: false, message: `model '${task.model}' is not running` };
    let answer: HttpAnswer;
    try {
      answer = await options.http.call({
        method: "POST",
        ...below(baseUrl, "/cancel_training"),
        headers: credentialsOf(task),
        headersTimeoutMs: 30_000,
      });
      await answer.body.dump();
    } catch (cause) {
      const { code } = cause as { code?: unknown };
      logger.warn({ taskId: task.uuid, model: task.model, code: String(code) }, "a training could not be cancelled");
      return { accepted: false, message: `the model server of '${task.model}' could not be reached` };
    }
    const accepted = answer.status === 202;
    if (accepted) cancelled.add(task.uuid);
    return {
      accepted,
      message: accepted ? "the model server will stop the run" : `the model server answered ${answer.status}`,
    };
  }

  return { run, resume, end: finish, cancelTraining, releaseFollowers: () => followers.abort(new Error("stopping")) };
}

function troubleOf(result: CallResult, busy: boolean): Trouble | null {
  if (result.kind === "failure") return { kind: "failure", failure: result.failure, sent: result.sent };
  if (busy) return { kind: "busy" };
  if (result.answer.status < 400) return null;
  return { kind: "status", status: result.answer.status, retryAfterMs: retryAfterOf(result.answer) };
}

function retryAfterOf(answer: TaskAnswer): number | null {
  const at = answer.headers.findIndex((each, index) => index % 2 === 0 && each.toLowerCase() === "retry-after");
  const seconds = at < 0 ? Number.NaN : Number(answer.headers[at + 1]);
  return Number.isFinite(seconds) && seconds >= 0 ? seconds * 1_000 : null;
}

const DAMAGED_PAYLOAD = "the request's stored body is missing or damaged; it was not sent. Submit it again";

const FAILURE_TEXT = {
  refused: "could not be reached",
  cut: "ended the connection before it had answered",
  timeout: "was silent too long",
  protocol: "did not answer in valid HTTP",
} as const;

function failureText(task: TaskRow, result: CallResult & { kind: "failure" }): string {
  return `the model server of '${task.model}' ${FAILURE_TEXT[result.failure]} (attempt ${task.attempt})`;
}

function noteOf(result: CallResult, busy: boolean): string {
  if (busy) return "the model server is busy with another training";
  if (result.kind === "failure") return `the model server ${FAILURE_TEXT[result.failure]}; trying again`;
  return `the model server answered ${result.answer.status}; trying again`;
}

/** The caller's own credentials: questions about its run are asked in its name. */
function credentialsOf(task: TaskRow): string[] {
  const kept: string[] = [];
  for (let index = 0; index + 1 < task.headers.length; index += 2) {
    const name = task.headers[index]!.toLowerCase();
    if (name === "authorization" || name === "cookie") kept.push(task.headers[index]!, task.headers[index + 1]!);
  }
  return kept;
}
