/** A task as its callers see it: the answer to replay, the detail, the event. Pure but for reading the body. */
import { type ErrorCode, errorEnvelope, SluiceError } from "../../core/contract/errors.js";
import type { StoredAnswer } from "../../core/contract/internal-api.js";
import {
  type AttemptDetail,
  type FailureReason,
  HISTORY_SHOWN,
  isFinal,
  type TaskDetail,
  wireTime,
} from "../../core/contract/tasks.js";
import { type AttemptRecord, sizeOf, type TaskRow } from "./store.js";

const FAILURES: Readonly<Record<FailureReason, { code: ErrorCode; message: string }>> = {
  cancelled: { code: "TASK_CANCELLED", message: "the task was cancelled" },
  expired: { code: "TASK_EXPIRED", message: "the task's deadline passed before it could start" },
  lost: { code: "TASK_LOST", message: "the model server went away during the run" },
  rejected: { code: "UPSTREAM_PROTOCOL", message: "the model server refused the task" },
  upstream_error: { code: "UPSTREAM_CUT", message: "the model server did not answer" },
  model_unavailable: { code: "MODEL_UNAVAILABLE", message: "the model is not available" },
  internal: { code: "INTERNAL", message: "an unexpected fault" },
};

/** Status, headers and times of a final task's answer; where the model server gave none, ours with its bytes. */
export function storedAnswer(task: TaskRow): { answer: StoredAnswer; ownBody: Buffer | null } {
  const queueMs = queueTimeMs(task);
  if (task.answer !== null) {
    const { status, headers, upstreamMs } = task.answer;
    return { answer: { status, headers, queueMs, upstreamMs }, ownBody: null };
  }
  const error = failureError(task);
  const ownBody = Buffer.from(JSON.stringify(errorEnvelope(error, task.requestId)));
  const headers = ["Content-Type", "application/json", "Content-Length", String(ownBody.byteLength)];
  return { answer: { status: error.status, headers, queueMs, upstreamMs: 0 }, ownBody };
}

/** True once a held caller can be answered: the task is final, or a training was accepted and its 202 is there. */
export function hasAnswer(task: TaskRow): boolean {
  return isFinal(task.status) || (task.status === "running" && task.answer !== null);
}

/** The error a failed task stands for; its own words (never the request's) go to the caller whose task it is. */
export function failureError(task: TaskRow): SluiceError {
  const failure = FAILURES[task.reason ?? "internal"];
  return new SluiceError(failure.code, task.errorMessage ?? failure.message);
}

/** From its creation to its first start, or to its end when it never started. */
export function queueTimeMs(task: TaskRow): number {
  return Math.max(0, (task.startedAtMs ?? task.finishedAtMs ?? task.createdAtMs) - task.createdAtMs);
}

/** CMG's name for a stored result, whatever its type. */
export function resultName(task: TaskRow): string | null {
  return task.status === "succeeded" ? `${task.uuid}_results.json` : null;
}

const time = (epochMs: number | null) => (epochMs === null ? null : wireTime(epochMs));

export function taskDetail(task: TaskRow): TaskDetail {
  const body = task.answer?.body;
  return {
    uuid: task.uuid,
    status: task.status,
    model: task.model,
    type: task.task,
    source: task.source,
    created_at: wireTime(task.createdAtMs),
    started_at: time(task.startedAtMs),
    finished_at: time(task.finishedAtMs),
    result: resultName(task),
    error_message: task.errorMessage,
    tracking_id: task.trackingId,
    reason: task.reason,
    class: task.class,
    priority: task.priority,
    tenant: task.tenant,
    attempts: task.attempt,
    deadline_at: time(task.deadlineAtMs),
    result_status: task.answer?.status ?? null,
    result_bytes: body === undefined ? null : sizeOf(body),
    result_sha256: body?.sha256 ?? null,
    request_id: task.requestId,
  };
}

export function attemptHistory(attempts: readonly AttemptRecord[]): AttemptDetail[] {
  return attempts.slice(-HISTORY_SHOWN).map(({ attempt, startedAtMs, endedAtMs, outcome, note }) => ({
    attempt,
    started_at: time(startedAtMs),
    ended_at: time(endedAtMs),
    outcome,
    note,
  }));
}
