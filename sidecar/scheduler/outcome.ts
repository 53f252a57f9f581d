/** What a call to a model server means for its task, and in which words it is told. */

import { asSluiceError } from "../../core/contract/errors.js";
import { valuesOf } from "../../core/contract/raw-headers.js";
import type { FailureReason } from "../../core/contract/tasks.js";
import type { Logger } from "../../core/runtime/logger.js";
import type { BlobStore, Outcome, RequeueCause, StoredBody, TaskAnswer, TaskRow } from "../tasks/store.js";
import { isTraining } from "./decide.js";
import type { CallFailure, Trouble } from "./retry.js";
import type { CallResult } from "./run.js";

/** How much of a model server's error body stands in the task's error (its whole answer is kept apart). */
const ERROR_BODY_BYTES = 8 * 1024;
/** A small JSON answer is read for a run's ids; more than this is not one. */
const SMALL_ANSWER_BYTES = 64 * 1024;

const PLAIN_ID = /^[\w.-]{1,256}$/;

export function failedOutcome(
  reason: FailureReason,
  errorMessage: string,
  answer: TaskAnswer | null,
  finishedAtMs: number,
): Outcome {
  return { status: "failed", reason, errorMessage, answer, finishedAtMs };
}

/** The ids of CMS's 202 and of its busy 503, where they are the active run's (reference cms-api 2.1, 2.2). */
export interface RunIds {
  readonly experimentId: string;
  readonly runId: string;
}

/** @returns null when the answer names no run */
export function readRunIds({ body }: TaskAnswer): RunIds | null {
  const ids = smallJson(body) as { experiment_id?: unknown; run_id?: unknown } | null;
  if (ids?.run_id === undefined || ids.run_id === null) return null;
  return { experimentId: idText(ids.experiment_id), runId: idText(ids.run_id) };
}

/** CMS's 503 with the ids of the active run; any other 503 is a failure. */
export function readBusy(answer: TaskAnswer): RunIds | null {
  if (answer.status !== 503) return null;
  const ids = smallJson(answer.body) as { experiment_id?: unknown } | null;
  return ids?.experiment_id === undefined ? null : readRunIds(answer);
}

/** An id and nothing else: it is repeated in messages. */
function idText(value: unknown): string {
  const text = typeof value === "string" || typeof value === "number" ? String(value) : "";
  return PLAIN_ID.test(text) ? text : "";
}

function smallJson(body: StoredBody): unknown {
  if (body.kind === "blob" || body.bytes.length > SMALL_ANSWER_BYTES) return null;
  try {
    return JSON.parse(body.bytes.toString("utf8"));
  } catch {
    return null;
  }
}

/** @returns null for an answer that is no trouble */
export function troubleOf(result: CallResult, busy: RunIds | null): Trouble | null {
  if (result.kind === "failure") return { kind: "failure", failure: result.failure, sent: result.sent };
  if (busy !== null) return { kind: "busy" };
  if (result.answer.status < 400) return null;
  return { kind: "status", status: result.answer.status, retryAfterMs: retryAfterOf(result.answer) };
}

export function retryAfterOf(answer: TaskAnswer): number | null {
  const seconds = Number(valuesOf(answer.headers, "retry-after")[0]);
  return Number.isFinite(seconds) && seconds >= 0 ? seconds * 1_000 : null;
}

export const DAMAGED_REQUEST = "what is stored of the request is missing or damaged; it was not sent. Submit it again";

const FAILURE_TEXT: Readonly<Record<CallFailure, string>> = {
  refused: "could not be reached",
  cut: "ended the connection before it had answered",
  timeout: "was silent too long",
  protocol: "did not answer in valid HTTP",
};

export function busyNote({ experimentId, runId }: RunIds): string {
  return `the model server is busy with another training (experiment_id ${experimentId}, run_id ${runId})`;
}

/** Why a task goes back to waiting. */
export function requeueNote(result: CallResult): string {
  if (result.kind === "failure") return `the model server ${FAILURE_TEXT[result.failure]}; trying again`;
  return `the model server answered ${result.answer.status}; trying again`;
}

export interface OutcomeDeps {
  readonly blobs: BlobStore;
  readonly logger: Logger;
}

/** How a task ends whose call is not repeated. */
export async function outcomeOf(deps: OutcomeDeps, task: TaskRow, result: CallResult, nowMs: number): Promise<Outcome> {
  if (result.kind === "failure") {
    const text = `the model server of '${task.model}' ${FAILURE_TEXT[result.failure]} (attempt ${task.attempt})`;
    return failedOutcome("upstream_error", text, null, nowMs);
  }
  const { answer } = result;
  // 200 to 399 is a result to CMG's clients (reference cmg-api 2.3); but a training that was sent elsewhere has not begun.
  if (answer.status < (isTraining(task.task) ? 300 : 400))
    return { status: "succeeded", reason: null, errorMessage: null, answer, finishedAtMs: nowMs };
  const isRefusal = answer.status < 500 || readBusy(answer) !== null;
  return failedOutcome(isRefusal ? "rejected" : "upstream_error", await errorText(deps, answer), answer, nowMs);
}

async function errorText({ blobs, logger }: OutcomeDeps, answer: TaskAnswer): Promise<string> {
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

/** Which of a task's earlier attempts count towards the bound of this trouble. */
export function timesBefore(attempts: readonly { readonly cause: RequeueCause | null }[], cause: RequeueCause): number {
  return attempts.filter((each) => each.cause === cause).length;
}
