/**
 * The store's writes, run in the writer's thread. Every move is a compare-and-set: the states it may come from (from the one table of
 * moves) and the fence stand in the `WHERE`, and no row means that the task has moved on.
 */
import { SluiceError } from "../../core/contract/errors.js";
import { statesBefore, type TaskStatus } from "../../core/contract/tasks.js";
import { failpoint } from "../../core/runtime/failpoints.js";
import type { Database, Statement } from "../db/open.js";
import type { Write } from "../db/writer-messages.js";
import type { AnswerRecord, BodyColumns, NewTaskRecord, TaskRecord } from "./task-record.js";

export interface QueueBounds {
  readonly maxTasks: number;
  readonly maxBytes: number;
}

export interface EndRecord {
  readonly status: "succeeded" | "failed";
  readonly reason: string | null;
  readonly errorMessage: string | null;
  readonly finishedAtMs: number;
  readonly answer: AnswerRecord | null;
}

/** A task that ended, and the payload's file that nobody needs any more. */
export interface Ended {
  readonly record: TaskRecord;
  readonly releasedKey: string | null;
}

/** Overdue tasks failed per call, so that a million of them do not hold up everybody else's commit. */
export const EXPIRE_AT_MOST = 500;

const PUT_ANSWER_BYTES =
  "INSERT INTO inline_answers (seq, bytes) VALUES (?, ?) ON CONFLICT DO UPDATE SET bytes = excluded.bytes";

export function prepareWrites(db: Database): Record<string, Write> {
  return { ...prepareInsert(db), ...prepareClaim(db), ...prepareMoves(db), ...prepareEnds(db), ...prepareProbe(db) };
}

function among(states: readonly TaskStatus[]): string {
  return `status IN (${states.map((state) => `'${state}'`).join(", ")})`;
}

/** An attempt that holds its fence is under way: a task gone back to waiting has no attempt that could end it. */
function activeBefore(to: TaskStatus): string {
  return among(statesBefore(to).filter((state) => state !== "pending"));
}

export function prepareInsert(db: Database) {
  const older: Statement<TaskRecord> = db.prepare(
    `SELECT * FROM tasks WHERE idempotency_key = @idempotencyKey AND model = @model AND task = @task
     AND ifnull(tenant, '') = ifnull(@tenant, '')`,
  );
  const totals: Statement<{ tasks: number; bytes: number }> = db.prepare("SELECT tasks, bytes FROM queue_totals");
  const insert: Statement<TaskRecord> = db.prepare(
    `INSERT INTO tasks (uuid, model, task, method, path, headers, class, priority, tenant, mode, source, request_id,
       force_tracking_id, created_at_ms, deadline_at_ms, idempotency_key, payload_key, payload_size, payload_sha256)
     VALUES (@uuid, @model, @task, @method, @path, @headers, @class, @priority, @tenant, @mode, @source, @requestId,
       @forceTrackingId, @createdAtMs, @deadlineAtMs, @idempotencyKey, @key, @size, @sha256)
     RETURNING *`,
  );
  const insertBytes = db.prepare("INSERT INTO inline_payloads (seq, bytes) VALUES (?, ?)");
  const insertCallback = db.prepare("INSERT INTO callbacks (seq, url, origin) VALUES (?, ?, ?)");

  return {
    insertTask(
      { columns, payload, callback }: NewTaskRecord,
      bounds: QueueBounds,
    ): { record: TaskRecord; replayed: boolean } {
      const before = columns.idempotencyKey === null ? undefined : older.get(columns);
      if (before !== undefined) {
        if (before.payload_sha256 !== payload.sha256 || before.path !== columns.path) {
          throw new SluiceError("IDEMPOTENCY_KEY_REUSED", "this Idempotency-Key came before with another request");
        }
        return { record: before, replayed: true };
      }
      refuseWhenFull(totals.get()!, payload.size, bounds);
      const record = insert.get({ ...columns, key: payload.key, size: payload.size, sha256: payload.sha256 })!;
      if (payload.bytes !== null) insertBytes.run(record.seq, payload.bytes);
      if (callback !== null) insertCallback.run(record.seq, callback.url, callback.origin);
      failpoint("insert.before_commit");
      return { record, replayed: false };
    },
  };
}

/** @throws QUEUE_FULL naming the bound */
export function refuseWhenFull(waiting: { tasks: number; bytes: number }, size: number, bounds: QueueBounds): void {
  const full =
    waiting.tasks >= bounds.maxTasks
      ? `${bounds.maxTasks} tasks wait already (scheduler.queue.max_tasks)`
      : waiting.bytes + size > bounds.maxBytes
        ? `the waiting tasks would hold more than ${bounds.maxBytes} bytes (scheduler.queue.max_bytes)`
        : null;
  if (full !== null) throw new SluiceError("QUEUE_FULL", full, { retryAfterMs: 30_000 });
}

function prepareClaim(db: Database): Record<string, Write> {
  const byClassCount = new Map<number, Statement<TaskRecord>>();
  // Each class contributes the head of its lane from the index of what is ready, and what has become due from the index of the rest.
  const statement = (classCount: number): Statement<TaskRecord> => {
    const head = (index: string, due: string) => `SELECT * FROM (SELECT seq, priority FROM tasks INDEXED BY ${index}
      WHERE status = 'pending' AND ${due} AND model = ? AND class = ? ORDER BY priority, seq LIMIT 1)`;
    const heads = Array.from({ length: classCount }, () => [
      head("tasks_ready", "not_before_ms = 0"),
      head("tasks_later", "not_before_ms > 0 AND not_before_ms <= ?"),
    ]).flat();
    return db.prepare(
      `UPDATE tasks SET status = 'scheduled', attempt = attempt + 1, not_before_ms = 0, attempt_at_ms = ?,
         started_at_ms = ifnull(started_at_ms, ?), error_message = NULL
       WHERE ${among(statesBefore("scheduled"))}
         AND seq = (SELECT seq FROM (${heads.join(" UNION ALL ")}) ORDER BY priority, seq LIMIT 1)
       RETURNING *`,
    );
  };

  return {
    claimTask(model: string, classes: readonly string[], nowMs: number): TaskRecord | null {
      if (classes.length === 0) return null;
      let claim = byClassCount.get(classes.length);
      if (claim === undefined) {
        claim = statement(classes.length);
        byClassCount.set(classes.length, claim);
      }
      const record = claim.get(nowMs, nowMs, ...classes.flatMap((each) => [model, each, nowMs, model, each])) ?? null;
      failpoint("claim.before_commit");
      return record;
    },
  };
}

function prepareMoves(db: Database): Record<string, Write> {
  const running: Statement<TaskRecord> = db.prepare(
    `UPDATE tasks SET status = 'running', tracking_id = ifnull(@trackingId, tracking_id), answer_status = @status,
       answer_headers = @headers, upstream_ms = @upstreamMs, answer_key = @key, answer_size = @size, answer_sha256 = @sha256
     WHERE uuid = @uuid AND attempt = @attempt AND ${among(statesBefore("running"))} RETURNING *`,
  );
  const requeue: Statement<TaskRecord> = db.prepare(
    `UPDATE tasks SET status = 'pending', not_before_ms = ?, error_message = ?
     WHERE uuid = ? AND attempt = ? AND ${among(statesBefore("pending"))} RETURNING *`,
  );
  const endAttempt = prepareEndAttempt(db);
  const putBytes = db.prepare(PUT_ANSWER_BYTES);
  return {
    markRunning(uuid: string, attempt: number, trackingId: string | null, accepted: AnswerRecord): TaskRecord | null {
      const { body, ...answer } = accepted;
      const { key, size, sha256 } = body;
      const record = running.get({ uuid, attempt, trackingId, ...answer, key, size, sha256 }) ?? null;
      if (record !== null && body.bytes !== null) putBytes.run(record.seq, body.bytes);
      failpoint("running.before_commit");
      return record;
    },
    requeueTask(move: { uuid: string; attempt: number; notBeforeMs: number; note: string | null; nowMs: number }) {
      const record = requeue.get(Math.max(0, Math.round(move.notBeforeMs)), move.note, move.uuid, move.attempt) ?? null;
      if (record !== null) endAttempt(record, move.nowMs, "requeued");
      failpoint("requeue.before_commit");
      return record;
    },
  };
}

function prepareEnds(db: Database): Record<string, Write> {
  // The request's headers go with its body: a token in them is needed no more.
  const set = `UPDATE tasks SET status = @status, headers = '[]', reason = @reason, error_message = @errorMessage, finished_at_ms = @finishedAtMs,
    answer_status = @answerStatus, answer_headers = @answerHeaders, upstream_ms = @upstreamMs, answer_key = @key,
    answer_size = @size, answer_sha256 = @sha256 WHERE uuid = @uuid`;
  const finish: Record<EndRecord["status"], Statement<TaskRecord>> = {
    succeeded: db.prepare(`${set} AND attempt = @attempt AND ${activeBefore("succeeded")} RETURNING *`),
    failed: db.prepare(`${set} AND attempt = @attempt AND ${activeBefore("failed")} RETURNING *`),
  };
  const failWaiting: Statement<TaskRecord> = db.prepare(`${set} AND status = 'pending' RETURNING *`);
  const refuse = db.prepare(
    `INSERT INTO attempts (seq, attempt, ended_at_ms, outcome) SELECT seq, ?, ?, 'refused' FROM tasks WHERE uuid = ?`,
  );
  const overdue: Statement<{ uuid: string }> = db.prepare(
    `SELECT uuid FROM tasks INDEXED BY tasks_deadline WHERE status = 'pending' AND deadline_at_ms IS NOT NULL AND deadline_at_ms <= ?
     ORDER BY deadline_at_ms LIMIT ${EXPIRE_AT_MOST}`,
  );
  const endAttempt = prepareEndAttempt(db);
  const settle = prepareSettle(db);

  return {
    finishTask(uuid: string, attempt: number, end: EndRecord): Ended | null {
      const record = finish[end.status].get({ uuid, attempt, ...endColumns(end) }) ?? null;
      if (record === null) refuse.run(attempt, end.finishedAtMs, uuid);
      else endAttempt(record, end.finishedAtMs, end.reason ?? end.status);
      const ended = record === null ? null : settle(record, end.answer?.body ?? null);
      failpoint("finish.before_commit");
      return ended;
    },
    failWaitingTask(uuid: string, end: EndRecord): Ended | null {
      const record = failWaiting.get({ uuid, ...endColumns(end) });
      return record === undefined ? null : settle(record, end.answer?.body ?? null);
    },
    expireTasks(nowMs: number): Ended[] {
      const end: EndRecord = {
        status: "failed",
        reason: "expired",
        errorMessage: "Its deadline passed before it could start.",
        finishedAtMs: nowMs,
        answer: null,
      };
      return overdue.all(nowMs).map(({ uuid }) => settle(failWaiting.get({ uuid, ...endColumns(end) })!, null));
    },
  };
}

function endColumns(end: EndRecord): Record<string, unknown> {
  const { answer, ...rest } = end;
  return {
    ...rest,
    answerStatus: answer?.status ?? null,
    answerHeaders: answer?.headers ?? null,
    upstreamMs: answer?.upstreamMs ?? null,
    key: answer?.body.key ?? null,
    size: answer?.body.size ?? null,
    sha256: answer?.body.sha256 ?? null,
  };
}

function prepareEndAttempt(db: Database) {
  const end = db.prepare(
    "UPDATE attempts SET ended_at_ms = ?, outcome = ? WHERE seq = ? AND attempt = ? AND outcome IS NULL",
  );
  return (record: TaskRecord, endedAtMs: number, outcome: string): void => {
    end.run(endedAtMs, outcome, record.seq, record.attempt);
  };
}

/** Puts a small answer in, takes the payload out. */
function prepareSettle(db: Database) {
  const putBytes = db.prepare(PUT_ANSWER_BYTES);
  const forgetBytes = db.prepare("DELETE FROM inline_answers WHERE seq = ?");
  const removeBytes = db.prepare("DELETE FROM inline_payloads WHERE seq = ?");
  const forgetKey = db.prepare("UPDATE tasks SET payload_key = NULL WHERE seq = ?");
  return (record: TaskRecord, answer: BodyColumns | null): Ended => {
    // A training's 202 may stand there already: what it ended with takes its place.
    if (answer !== null && answer.bytes !== null) putBytes.run(record.seq, answer.bytes);
    else forgetBytes.run(record.seq);
    if (record.payload_key === null) removeBytes.run(record.seq);
    else forgetKey.run(record.seq);
    return { record, releasedKey: record.payload_key };
  };
}

function prepareProbe(db: Database): Record<string, Write> {
  const probe = db.prepare("INSERT INTO health_probe VALUES (1, ?) ON CONFLICT DO UPDATE SET at_ms = excluded.at_ms");
  return {
    probeStore: (nowMs: number) => {
      probe.run(nowMs);
    },
  };
}
