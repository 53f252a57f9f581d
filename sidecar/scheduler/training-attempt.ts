/**
 * A training's attempt after it was sent: accepted and followed to its end, refused because the trainer is busy, or unsure, when no
 * answer came. It is never sent again unless it is proven not accepted; an unsure one is looked for instead.
 */
import { setMaxListeners } from "node:events";
import type { Clock } from "../../core/runtime/clock.js";
import type { HttpClient } from "../../core/runtime/http.js";
import type { ModelCatalogue } from "../models/catalogue.js";
import {
  type BlobStore,
  type Outcome,
  storeBytes,
  type TaskAnswer,
  type TaskRow,
  type TaskStore,
} from "../tasks/store.js";
import type { Mlflow } from "../tracking/mlflow.js";
import type { TrackedRun } from "../tracking/tracked-run.js";
import type { BusyTrainers } from "./busy.js";
import type { Cancellations } from "./cancel-training.js";
import type { Permit } from "./limiter.js";
import { busyNote, failedOutcome, type RunIds, readRunIds, timesBefore } from "./outcome.js";
import { decideRetry } from "./retry.js";
import { credentialsOf, runNameOf } from "./run.js";
import type { RunEnd } from "./run-end.js";
import type { FollowBounds } from "./run-patience.js";
import { describeResult, exceptionList } from "./run-result.js";
import { type RunKey, RunSources } from "./run-sources.js";
import type { Settler } from "./settle.js";
import { findRun, followRun } from "./training.js";

export interface TrainingOptions {
  readonly store: TaskStore;
  readonly blobs: BlobStore;
  readonly catalogue: ModelCatalogue;
  readonly http: HttpClient;
  readonly mlflow: Mlflow | null;
  readonly clock: Clock;
  readonly settler: Settler;
  readonly busy: BusyTrainers;
  readonly cancellations: Cancellations;
  readonly trackingUri: () => string;
  readonly bounds: () => FollowBounds;
}

export interface TrainingAttempts {
  /** The model server answered 202: follows the run to its end. */
  accept(task: TaskRow, answer: TaskAnswer, signal: AbortSignal): Promise<void>;
  /** The trainer is busy: back to waiting, and the model's training slot is kept meanwhile, so that nobody overtakes. */
  backOff(task: TaskRow, ids: RunIds, permit: Permit, signal: AbortSignal): Promise<void>;
  /** It was sent and no 202 came: looks whether it runs all the same, and follows it then. @param otherwise its end when not */
  lookFor(task: TaskRow, otherwise: () => Outcome, signal: AbortSignal): Promise<void>;
  /** Follows a run that was accepted before a restart of ours. */
  follow(task: TaskRow, signal: AbortSignal): Promise<void>;
  /** Lets go of runs that are only being followed, and of back-offs: they go on after the next start. */
  release(): void;
}

/** Clocks of two machines may differ by this much. */
const CLOCK_SKEW_MS = 60_000;

export function createTrainingAttempts(options: TrainingOptions): TrainingAttempts {
  const { store, blobs, clock, settler, busy, cancellations, bounds } = options;
  const releasing = new AbortController();
  // Every run that is followed listens.
  setMaxListeners(0, releasing.signal);

  /** @param ageMs how long it has run already; not asked of the wall clock where it began under our eyes: that may have been set */
  async function follow(task: TaskRow, ageMs: number, signal: AbortSignal): Promise<void> {
    const end = await watching(task, task.trackingId, signal, (sources, over) =>
      followRun({
        sources,
        clock,
        bounds,
        ageMs,
        facts: () => ({ isCancelAsked: cancellations.isAsked(task), savesModel: task.task !== "evaluate" }),
        signal: over,
      }),
    );
    if (end === null) return;
    await settler.finish(task, await outcomeOfRun(task, end, signal), signal);
    cancellations.forget(task);
  }

  /** @returns null when we were told to let go */
  async function watching<Value>(
    task: TaskRow,
    runId: string | null,
    signal: AbortSignal,
    work: (sources: RunSources, over: AbortSignal) => Promise<Value>,
  ): Promise<Value | null> {
    const over = AbortSignal.any([signal, releasing.signal]);
    const sources = new RunSources(options, await runKey(task, runId, signal));
    try {
      return await work(sources, over);
    } catch (cause) {
      if (over.aborted) return null;
      throw cause;
    } finally {
      sources.close();
    }
  }

  async function runKey(task: TaskRow, runId: string | null, signal: AbortSignal): Promise<RunKey> {
    const isNameOurs = task.forceTrackingId;
    return {
      model: task.model,
      runName: runNameOf(task) ?? task.uuid,
      runId,
      // A clock that was set back since must not make the run older than its own attempt.
      notBeforeMs: isNameOurs ? null : Math.min(await attemptStartMs(task, signal), clock.now()) - CLOCK_SKEW_MS,
      headers: credentialsOf(task),
    };
  }

  async function attemptStartMs(task: TaskRow, signal: AbortSignal): Promise<number> {
    const attempts = await settler.persist(task, signal, async () => store.attempts(task.uuid));
    const current = attempts.findLast((each) => each.attempt === task.attempt && each.startedAtMs !== null);
    return current?.startedAtMs ?? task.startedAtMs ?? task.createdAtMs;
  }

  async function begin(task: TaskRow, runId: string | null, answer: TaskAnswer, signal: AbortSignal): Promise<void> {
    const write = () => store.markRunning(task.uuid, task.attempt, runId, answer);
    await settler.persist(task, signal, write);
    // Not marked by us, it may have been by a former process that was still letting go: somebody must follow it.
    const now = await settler.persist(task, signal, async () => store.get(task.uuid));
    if (now?.status !== "running" || now.attempt !== task.attempt) return;
    await busy.answerHeld(task.model);
    await follow(now, 0, signal);
  }

  async function outcomeOfRun(task: TaskRow, end: RunEnd, signal: AbortSignal): Promise<Outcome> {
    const nowMs = clock.now();
    if (end.kind !== "finished") {
      const [reason, words] = describeEnd(end);
      return failedOutcome(reason, words, task.answer, nowMs);
    }
    const result = describeResult(end.named, end.sibling, options.trackingUri());
    const bytes = Buffer.from(JSON.stringify(result, null, 2), "utf8");
    const body = await settler.persist(task, signal, () => storeBytes(blobs, bytes));
    const answer: TaskAnswer = { status: 200, headers: ["Content-Type", "application/json"], body, upstreamMs: 0 };
    return { status: "succeeded", reason: null, errorMessage: null, answer, finishedAtMs: nowMs };
  }

  return {
    async follow(task, signal) {
      const startedMs = await attemptStartMs(task, signal);
      await follow(task, Math.max(0, clock.now() - startedMs), signal);
    },
    accept: (task, answer, signal) => begin(task, readRunIds(answer)?.runId ?? null, answer, signal),
    async backOff(task, ids, permit, signal) {
      permit.releaseCall();
      const times = timesBefore(store.attempts(task.uuid), "busy") + 1;
      const pauseMs = decideRetry({ kind: "busy" }, times, false, Math.random())!;
      await settler.requeue(task, pauseMs, { cause: "busy", note: busyNote(ids) }, signal);
      busy.note(task.model, ids, pauseMs);
      await busy.answerHeld(task.model);
      await clock.sleep(pauseMs + 1, releasing.signal);
    },
    async lookFor(task, otherwise, signal) {
      const found = await watching(task, null, signal, async (sources, over) => {
        return { run: await findRun({ sources, clock, bounds, signal: over }) };
      });
      if (found === null) return;
      if (found.run === null) return settler.finish(task, otherwise(), signal);
      const answer = await settler.persist(task, signal, () => acceptedAnswer(blobs, task, found.run!));
      await begin(task, found.run.runId, answer, signal);
    },
    release: () => releasing.abort(new Error("stopping")),
  };
}

type FailedEnd = Exclude<RunEnd, { kind: "finished" }>;

function describeEnd(end: FailedEnd): ["cancelled" | "lost" | "upstream_error", string] {
  if (end.kind === "lost") return ["lost", `the run is lost: ${end.why}`];
  if (end.kind === "cancelled") return ["cancelled", "the training was cancelled while it ran"];
  if (end.kind === "killed") return ["upstream_error", KILLED_WORDS];
  return ["upstream_error", exceptionList(end.exceptions)];
}

/** CMS keeps the flag of a cancellation that came as a run ended, for the next one (reference cms-api 2.6). */
const KILLED_WORDS =
  "the run was killed, and nobody asked Sluice for that: its model server was stopped, somebody cancelled it there, " +
  "or a cancellation that came as the run before it ended has met this one. Submit it again";

/** CMS's 202 for a run whose own never came; callers that hold the line get it. */
async function acceptedAnswer(blobs: BlobStore, task: TaskRow, run: TrackedRun): Promise<TaskAnswer> {
  const bytes = Buffer.from(
    JSON.stringify({
      message: "Your training started successfully.",
      [task.task === "evaluate" ? "evaluation_id" : "training_id"]: run.runName,
      experiment_id: run.experimentId,
      run_id: run.runId,
    }),
  );
  const headers = ["Content-Type", "application/json", "Content-Length", String(bytes.length)];
  return { status: 202, headers, body: await storeBytes(blobs, bytes), upstreamMs: 0 };
}
