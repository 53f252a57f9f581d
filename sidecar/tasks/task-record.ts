/** A task as its table holds it, and back. */
import type { AnswerMode, FailureReason, RawHeaders, TaskStatus } from "../../core/contract/tasks.js";
import type { NewTask, StoredBody, TaskAnswer, TaskRow } from "./store.js";

/** A row of `tasks`; small bodies stand in tables of their own. */
export interface TaskRecord {
  readonly seq: number;
  readonly uuid: string;
  readonly model: string;
  readonly task: string;
  readonly method: string;
  readonly path: string;
  readonly headers: string;
  readonly class: string;
  readonly priority: number;
  readonly tenant: string | null;
  readonly mode: AnswerMode;
  readonly source: string;
  readonly request_id: string;
  readonly force_tracking_id: 0 | 1;
  readonly created_at_ms: number;
  readonly deadline_at_ms: number | null;
  readonly idempotency_key: string | null;
  readonly payload_key: string | null;
  readonly payload_size: number;
  readonly payload_sha256: string;
  readonly status: TaskStatus;
  readonly reason: FailureReason | null;
  readonly attempt: number;
  readonly not_before_ms: number;
  readonly started_at_ms: number | null;
  readonly attempt_at_ms: number | null;
  readonly finished_at_ms: number | null;
  readonly error_message: string | null;
  readonly tracking_id: string | null;
  readonly answer_status: number | null;
  readonly answer_headers: string | null;
  readonly answer_key: string | null;
  readonly answer_size: number | null;
  readonly answer_sha256: string | null;
  readonly upstream_ms: number | null;
  readonly turn: number;
  readonly cancel_asked_at_ms: number | null;
}

/** A body's columns; `bytes` is null for a blob. */
export interface BodyColumns {
  readonly key: string | null;
  readonly size: number;
  readonly sha256: string;
  readonly bytes: Uint8Array | null;
}

export interface NewTaskRecord {
  readonly columns: Omit<NewTask, "payload" | "headers" | "forceTrackingId" | "callback"> & {
    readonly headers: string;
    readonly forceTrackingId: 0 | 1;
  };
  readonly payload: BodyColumns;
  readonly callback: { readonly url: string; readonly origin: string } | null;
}

export interface AnswerRecord {
  readonly status: number;
  readonly headers: string;
  readonly upstreamMs: number;
  readonly body: BodyColumns;
}

/** An inline body's bytes are copied into a buffer of their own: it can be handed to another thread without its neighbours. */
function bodyColumns(body: StoredBody): BodyColumns {
  return body.kind === "blob"
    ? { key: body.key, size: body.size, sha256: body.sha256, bytes: null }
    : { key: null, size: body.bytes.byteLength, sha256: body.sha256, bytes: new Uint8Array(body.bytes) };
}

export function newTaskRecord(task: NewTask): NewTaskRecord {
  const { payload, headers, forceTrackingId, callback, ...columns } = task;
  return {
    columns: { ...columns, headers: JSON.stringify(headers), forceTrackingId: forceTrackingId ? 1 : 0 },
    payload: bodyColumns(payload),
    callback: callback === null ? null : { url: callback, origin: new URL(callback).origin },
  };
}

export function answerRecord(answer: TaskAnswer): AnswerRecord {
  return {
    status: answer.status,
    headers: JSON.stringify(answer.headers),
    upstreamMs: Math.round(answer.upstreamMs),
    body: bodyColumns(answer.body),
  };
}

/** @returns null when they are damaged: one such row must not keep all the others from being read */
function readHeaders(text: string): RawHeaders | null {
  try {
    const headers: unknown = JSON.parse(text);
    return Array.isArray(headers) && headers.every((each) => typeof each === "string") ? headers : null;
  } catch {
    return null;
  }
}

/** @param readInline gives the answer's bytes; asked only when they stand in the database */
export function taskRow(record: TaskRecord, readInline: (seq: number) => Buffer): TaskRow {
  return {
    uuid: record.uuid,
    model: record.model,
    task: record.task,
    method: record.method,
    path: record.path,
    headers: readHeaders(record.headers),
    class: record.class,
    priority: record.priority,
    tenant: record.tenant,
    mode: record.mode,
    source: record.source,
    requestId: record.request_id,
    forceTrackingId: record.force_tracking_id === 1,
    createdAtMs: record.created_at_ms,
    deadlineAtMs: record.deadline_at_ms,
    idempotencyKey: record.idempotency_key,
    status: record.status,
    reason: record.reason,
    attempt: record.attempt,
    notBeforeMs: record.not_before_ms,
    startedAtMs: record.started_at_ms,
    finishedAtMs: record.finished_at_ms,
    errorMessage: record.error_message,
    trackingId: record.tracking_id,
    answer: taskAnswer(record, readInline),
    cancelAskedAtMs: record.cancel_asked_at_ms,
  };
}

function taskAnswer(record: TaskRecord, readInline: (seq: number) => Buffer): TaskAnswer | null {
  if (record.answer_status === null) return null;
  const sha256 = record.answer_sha256!;
  return {
    status: record.answer_status,
    // Without them the bytes are still the answer.
    headers: readHeaders(record.answer_headers!) ?? [],
    upstreamMs: record.upstream_ms!,
    body:
      record.answer_key === null
        ? { kind: "inline", bytes: readInline(record.seq), sha256 }
        : { kind: "blob", key: record.answer_key, size: record.answer_size!, sha256 },
  };
}
