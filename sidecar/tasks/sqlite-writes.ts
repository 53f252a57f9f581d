/**
 * The store's writes, run in the writer's thread. Every move is a compare-and-set: the states it may come from (from the one table of
 * moves) and the fence stand in the `WHERE`, and no row means that the task has moved on.
 */
import { SluiceError } from "../../core/contract/errors.js";
import { statesBefore, type TaskStatus } from "../../core/contract/tasks.js";
import { failpoint } from "../../core/runtime/failpoints.js";
import type { Database, Statement } from "../db/open.js";
import type { Write } from "../db/writer-messages.js";
import { type QueueBounds, refuseWhenFull } from "./queue-bounds.js";
import { type Best, prepareOrder } from "./sqlite-order.js";
import { type AttemptRecord, MAX_ATTEMPTS_KEPT, MAX_NOTE_CHARS, type Requeue } from "./store.js";
import type { AnswerRecord, BodyColumns, NewTaskRecord, TaskRecord } from "./task-record.js";

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

/** A claimed task, and its payload's bytes where they stand in the database. */
export interface Claimed {
  readonly record: TaskRecord;
  readonly bytes: Uint8Array | null;
}

interface RequeueMove {
  readonly uuid: string;
  readonly attempt: number;
  readonly notBeforeMs: number;
  readonly why: Requeue | null;
  readonly nowMs: number;
}

type AttemptEnd = Omit<AttemptRecord, "attempt" | "startedAtMs">;

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
       force_tracking_id, created_at_ms, deadline_at_ms, idempotency_key, payload_key, payload_size, payload_sha256, turn)
     VALUES (@uuid, @model, @task, @method, @path, @headers, @class, @priority, @tenant, @mode, @source, @requestId,
       @forceTrackingId, @createdAtMs, @deadlineAtMs, @idempotencyKey, @key, @size, @sha256, @turn)
     RETURNING *`,
  );
  const { takeTurn } = prepareOrder(db);
  const insertBytes = db.prepare("INSERT INTO inline_payloads (seq, bytes) VALUES (?, ?)");
  const insertCallback = db.prepare("INSERT INTO callbacks (seq, url, origin) VALUES (?, ?, ?)");

  return {
    insertTask(
      { columns, payload, callback }: NewTaskRecord,
      { bounds, weight }: { bounds: QueueBounds; weight: number },
    ): { record: TaskRecord; replayed: boolean } {
      const before = columns.idempotencyKey === null ? undefined : older.get(columns);
      if (before !== undefined) {
        if (before.payload_sha256 !== payload.sha256 || before.path !== columns.path) {
          throw new SluiceError("IDEMPOTENCY_KEY_REUSED", "this Idempotency-Key came before with another request");
        }
        return { record: before, replayed: true };
      }
      refuseWhenFull(totals.get()!, payload.size, bounds);
      const { key, size, sha256 } = payload;
      const record = insert.get({ ...columns, key, size, sha256, turn: takeTurn(columns, weight) })!;
      if (payload.bytes !== null) insertBytes.run(record.seq, payload.bytes);
      if (callback !== null) insertCallback.run(record.seq, callback.url, callback.origin);
      failpoint("insert.before_commit");
      return { record, replayed: false };
    },
  };
}

function prepareClaim(db: Database): Record<string, Write> {
  const { promoteDue, findBest, markServed } = prepareOrder(db);
  const payloadBytes: Statement<{ bytes: Uint8Array }> = db.prepare("SELECT bytes FROM inline_payloads WHERE seq = ?");
  const claim: Statement<TaskRecord> = db.prepare(
    `UPDATE tasks SET status = 'scheduled', attempt = attempt + 1, not_before_ms = 0, attempt_at_ms = @nowMs,
       started_at_ms = ifnull(started_at_ms, @nowMs), error_message = NULL
     WHERE seq = @seq AND ${among(statesBefore("scheduled"))} RETURNING *`,
  );
  const take = (model: string, best: Best, nowMs: number): Claimed => {
    const record = claim.get({ seq: best.seq, nowMs })!;
    markServed(model, best);
    return { record, bytes: payloadBytes.get(record.seq)?.bytes ?? null };
  };

  return {
    // With its payload, in one go: a claim whose payload could not be read would leave a task that nobody runs.
    claimTask(
      lane: { model: string; classes: readonly string[] },
      { nowMs, ageingMs }: { nowMs: number; ageingMs: number },
    ): Claimed | null {
      promoteDue(lane, nowMs);
      const best = findBest(lane, nowMs, ageingMs);
      const claimed = best === null ? null : take(lane.model, best, nowMs);
      failpoint("claim.before_commit");
      return claimed;
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
  const askCancel: Statement<TaskRecord> = db.prepare(
    "UPDATE tasks SET cancel_asked_at_ms = ? WHERE uuid = ? AND attempt = ? AND status = 'running' RETURNING *",
  );
  const forgetOld = db.prepare("DELETE FROM attempts WHERE seq = ? AND attempt <= ?");
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
    markCancelAsked: (uuid: string, attempt: number, askedAtMs: number | null): TaskRecord | null =>
      askCancel.get(askedAtMs, uuid, attempt) ?? null,
    requeueTask({ uuid, attempt, notBeforeMs, why, nowMs }: RequeueMove): TaskRecord | null {
      const record = requeue.get(Math.max(0, Math.round(notBeforeMs)), why?.note ?? null, uuid, attempt) ?? null;
      if (record !== null) {
        endAttempt(record, {
          endedAtMs: nowMs,
          outcome: "requeued",
          cause: why?.cause ?? null,
          note: why?.note ?? null,
        });
        forgetOld.run(record.seq, record.attempt - MAX_ATTEMPTS_KEPT);
      }
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
    `INSERT INTO attempts (seq, attempt, ended_at_ms, outcome, note)
     SELECT seq, ?, ?, 'refused', 'it came after the task had moved on' FROM tasks WHERE uuid = ?`,
  );
  const overdue: Statement<{ uuid: string }> = db.prepare(
    `SELECT uuid FROM tasks INDEXED BY tasks_deadline WHERE status = 'pending' AND deadline_at_ms IS NOT NULL AND deadline_at_ms <= ?
     ORDER BY deadline_at_ms LIMIT ${EXPIRE_AT_MOST}`,
  );
  const endAttempt = prepareEndAttempt(db);
  const settle = prepareSettle(db);
  const { giveTurnBack } = prepareOrder(db);
  const settleWaiting = (record: TaskRecord, answer: BodyColumns | null): Ended => {
    giveTurnBack(record);
    return settle(record, answer);
  };

  return {
    finishTask(uuid: string, attempt: number, end: EndRecord): Ended | null {
      const record = finish[end.status].get({ uuid, attempt, ...endColumns(end) }) ?? null;
      if (record === null) refuse.run(attempt, end.finishedAtMs, uuid);
      else {
        const outcome = end.reason ?? end.status;
        endAttempt(record, { endedAtMs: end.finishedAtMs, outcome, cause: null, note: end.errorMessage });
      }
      const ended = record === null ? null : settle(record, end.answer?.body ?? null);
      failpoint("finish.before_commit");
      return ended;
    },
    failWaitingTask(uuid: string, end: EndRecord): Ended | null {
      const record = failWaiting.get({ uuid, ...endColumns(end) });
      const ended = record === undefined ? null : settleWaiting(record, end.answer?.body ?? null);
      failpoint("fail_waiting.before_commit");
      return ended;
    },
    expireTasks(nowMs: number): Ended[] {
      const end: EndRecord = {
        status: "failed",
        reason: "expired",
        errorMessage: "Its deadline passed before it could start.",
        finishedAtMs: nowMs,
        answer: null,
      };
      const ended = overdue
        .all(nowMs)
        .map(({ uuid }) => settleWaiting(failWaiting.get({ uuid, ...endColumns(end) })!, null));
      failpoint("expire.before_commit");
      return ended;
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
    `UPDATE attempts SET ended_at_ms = @endedAtMs, outcome = @outcome, cause = @cause, note = substr(@note, 1, ${MAX_NOTE_CHARS})
     WHERE seq = @seq AND attempt = @attempt AND outcome IS NULL`,
  );
  return ({ seq, attempt }: TaskRecord, how: AttemptEnd): void => {
    end.run({ ...how, seq, attempt });
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
      failpoint("probe.before_commit");
    },
  };
}
