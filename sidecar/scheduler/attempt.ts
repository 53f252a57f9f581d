/**
 * One attempt of one task, from the claim to what is written about it: a final state, or back to waiting.
 * Reads top to bottom: send, look at what came, settle. Trainings go on in `training-attempt.ts`.
 */
import { asSluiceError } from "../../core/contract/errors.js";
import type { Clock } from "../../core/runtime/clock.js";
import type { HttpClient } from "../../core/runtime/http.js";
import type { Logger } from "../../core/runtime/logger.js";
import type { ModelCatalogue } from "../models/catalogue.js";
import type { BlobStore, Claim, Outcome, StoredBody, TaskRow, TaskStore } from "../tasks/store.js";
import type { Mlflow } from "../tracking/mlflow.js";
import { createBusyTrainers } from "./busy.js";
import { type CancelAnswer, createCancellations } from "./cancel-training.js";
import { isTraining } from "./decide.js";
import type { Permit } from "./limiter.js";
import {
  DAMAGED_REQUEST,
  failedOutcome,
  outcomeOf,
  readBusy,
  requeueNote,
  retryAfterOf,
  timesBefore,
  troubleOf,
} from "./outcome.js";
import { causeOf, decideRetry, isRepeatable, mayBeAccepted, type Trouble } from "./retry.js";
import type { Caller, CallResult } from "./run.js";
import type { FollowBounds } from "./run-patience.js";
import { type AttemptObserver, createSettler, PERSIST_PAUSE_MS } from "./settle.js";
import { createTrainingAttempts } from "./training-attempt.js";

export interface AttemptsOptions {
  readonly store: TaskStore;
  readonly blobs: BlobStore;
  readonly catalogue: ModelCatalogue;
  readonly caller: Caller;
  readonly http: HttpClient;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly observer: AttemptObserver;
  /** MLflow's address, for the link in a training's result. */
  readonly trackingUri: () => string;
  /** Asked for runs before the model servers are. Default: none. */
  readonly mlflow?: Mlflow | null;
  /** How long a run may be out of sight, and may last. Default: 60 s, and no limit. */
  readonly followBounds?: () => FollowBounds;
}

export interface Attempts {
  /** Runs a claimed task to its end, its requeue, or the signal. Releases nothing but a training's call slots. */
  run(claim: Claim, permit: Permit, signal: AbortSignal): Promise<void>;
  /** Takes up a task that a crash left `scheduled` or `running`. */
  resume(claim: Claim, signal: AbortSignal): Promise<void>;
  /** Asks the model server to cancel this task's run, and says what happened. */
  cancelTraining(task: TaskRow): Promise<CancelAnswer>;
  /** Answers held trainings that wait for a busy model as its server would. Never rejects. */
  answerHeld(model: string): Promise<void>;
  /** Writes the end of a claimed task that will not run; tries again while the store is down. */
  end(task: TaskRow, outcome: Outcome, signal: AbortSignal): Promise<void>;
  /** Lets go of runs that are only being followed: they go on, and are followed again after the next start. */
  releaseFollowers(): void;
}

/** Faults of our own while a task runs: after this many it fails instead of being tried again. */
const MAX_FAULTS = 10;
/** A model that is not ready any more when its permit comes: look again after this. */
const NOT_READY_PAUSE_MS = 500;
const DEFAULT_BOUNDS: FollowBounds = { lostAfterMs: 60_000, limitMs: null };

export function createAttempts(options: AttemptsOptions): Attempts {
  const { store, catalogue, caller, clock, logger, observer } = options;
  const settler = createSettler(options);
  const busy = createBusyTrainers(options);
  const cancellations = createCancellations(options);
  const trainings = createTrainingAttempts({
    ...options,
    mlflow: options.mlflow ?? null,
    bounds: options.followBounds ?? (() => DEFAULT_BOUNDS),
    settler,
    busy,
    cancellations,
  });

  async function run(claim: Claim, permit: Permit, signal: AbortSignal): Promise<void> {
    const { task, payload } = claim;
    await holding(task, signal, async () => {
      observer.scheduled(task);
      const entry = catalogue.get(task.model);
      const isChanging = isTraining(task.task) && catalogue.isChanging(task.model);
      if (entry?.state !== "ready" || entry.url === null || isChanging)
        return settler.requeue(task, NOT_READY_PAUSE_MS, NOT_READY, signal);
      const result = await send(task, payload, entry.url, signal);
      if (result === null) return;
      if (result.kind === "answer" && result.answer.status === 429) permit.refused(retryAfterOf(result.answer));
      await (isTraining(task.task) ? settleTraining(task, result, permit, signal) : settle(task, result, signal));
    });
  }

  /** Holds the model up meanwhile; whatever was not foreseen must not leave a task between two states until the next start. */
  async function holding(task: TaskRow, signal: AbortSignal, work: () => Promise<void>): Promise<void> {
    const on = isTraining(task.task) ? "training" : "server";
    const release = catalogue.lease(task.model, `task ${task.uuid}`, on);
    try {
      await work();
    } catch (cause) {
      if (!signal.aborted) await answerFault(task, cause, signal);
    } finally {
      release();
    }
  }

  async function answerFault(task: TaskRow, cause: unknown, signal: AbortSignal): Promise<void> {
    const error = asSluiceError(cause);
    const about = { taskId: task.uuid, model: task.model, code: error.code, err: cause };
    logger.error(about, "an attempt failed inside Sluice");
    const { isRunning, faults } = await settler.persist(task, signal, async () => ({
      isRunning: store.get(task.uuid)?.status === "running",
      faults: timesBefore(store.attempts(task.uuid), "fault") + 1,
    }));
    if (isTraining(task.task) && !isRunning) return trainings.lookFor(task, lost(error.message), signal);
    if (!isRepeatable(task.task)) return settler.finish(task, lost(error.message)(), signal);
    if (faults >= MAX_FAULTS)
      return settler.finish(task, failedOutcome("internal", error.message, null, clock.now()), signal);
    const pauseMs = error.retryAfterMs ?? 10 * PERSIST_PAUSE_MS;
    await settler.requeue(task, pauseMs, { cause: "fault", note: error.message }, signal);
  }

  /** @returns null when the attempt was given up: the task waits again, or the next start looks what became of it */
  async function send(task: TaskRow, body: StoredBody, url: string, signal: AbortSignal): Promise<CallResult | null> {
    try {
      return await caller.call(task, body, url, signal);
    } catch (cause) {
      if (signal.aborted) {
        if (isRepeatable(task.task)) await store.requeue(task.uuid, task.attempt, clock.now(), STOPPED);
        return null;
      }
      if (asSluiceError(cause).code !== "RESULT_DAMAGED") throw cause;
      // The body or the headers that were to be sent. Nothing was sent, and no later attempt finds them whole.
      logger.error(
        { taskId: task.uuid, model: task.model, code: "RESULT_DAMAGED", err: cause },
        "a stored request is damaged",
      );
      await settler.finish(task, failedOutcome("internal", DAMAGED_REQUEST, null, clock.now()), signal);
      return null;
    }
  }

  async function settle(task: TaskRow, result: CallResult, signal: AbortSignal): Promise<void> {
    const trouble = troubleOf(result, null);
    const pauseMs = trouble === null ? null : retryAfter(task, trouble);
    if (pauseMs === null) return settler.finish(task, await outcomeOf(options, task, result, clock.now()), signal);
    if (result.kind === "answer") await settler.discard(result.answer.body);
    const why = { cause: causeOf(trouble!)!, note: requeueNote(result) };
    await settler.requeue(task, pauseMs, why, signal);
  }

  function retryAfter(task: TaskRow, trouble: Trouble): number | null {
    const cause = causeOf(trouble);
    if (cause === null) return null;
    const times = timesBefore(store.attempts(task.uuid), cause) + 1;
    return decideRetry(trouble, times, isRepeatable(task.task), Math.random());
  }

  async function settleTraining(task: TaskRow, result: CallResult, permit: Permit, signal: AbortSignal): Promise<void> {
    if (result.kind === "answer" && result.answer.status === 202) {
      permit.releaseCall();
      return trainings.accept(task, result.answer, signal);
    }
    const ids = result.kind === "answer" ? readBusy(result.answer) : null;
    // A CMS client that trains the plain way sees the busy answer itself, as it always has.
    if (ids !== null && task.mode !== "held") return trainings.backOff(task, ids, permit, signal);
    const trouble = troubleOf(result, ids);
    if (ids !== null || trouble === null || !mayBeAccepted(trouble)) return settle(task, result, signal);
    permit.releaseCall();
    const outcome = await outcomeOf(options, task, result, clock.now());
    const reason = result.kind === "failure" ? "lost" : outcome.reason;
    await trainings.lookFor(task, () => ({ ...outcome, reason, finishedAtMs: clock.now() }), signal);
  }

  /** The end of what may have been done and cannot be asked for. */
  const lost = (words: string) => () => failedOutcome("lost", words, null, clock.now());

  async function resume({ task }: Claim, signal: AbortSignal): Promise<void> {
    await holding(task, signal, async () => {
      if (task.status === "running") return trainings.follow(task, signal);
      if (isTraining(task.task)) return trainings.lookFor(task, lost(UNKNOWN_AFTER_CRASH), signal);
      if (isRepeatable(task.task)) return settler.requeue(task, 0, CRASHED, signal);
      await settler.finish(task, lost(SENT_BEFORE_CRASH)(), signal);
    });
  }

  return {
    run,
    resume,
    end: settler.finish,
    cancelTraining: cancellations.ask,
    answerHeld: busy.answerHeld,
    releaseFollowers: trainings.release,
  };
}

const NOT_READY = { cause: "not_ready", note: "the model server was not ready any more" } as const;
const STOPPED = { cause: "interrupted", note: "interrupted by a stop of Sluice" } as const;
const CRASHED = { cause: "interrupted", note: "interrupted by a crash of Sluice" } as const;
const UNKNOWN_AFTER_CRASH = "Sluice ended while this training was being sent, and its model server knows no such run";
const SENT_BEFORE_CRASH = "Sluice ended while this call was being made, and it must not be sent twice";
