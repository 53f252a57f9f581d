/** The index of answers that may be given again, and tasks that are final from the start; run in the writer's thread. */
import { failpoint } from "../../core/runtime/failpoints.js";
import type { Database, Statement } from "../db/open.js";
import type { Write } from "../db/writer-messages.js";
import type { QueueBounds } from "./queue-bounds.js";
import { prepareOrder } from "./sqlite-order.js";
import { prepareInsert } from "./sqlite-writes.js";
import type { AnswerRecord, NewTaskRecord, TaskRecord } from "./task-record.js";

/** An answered task does not wait, so no bound on what waits is its own. */
const NO_BOUNDS: QueueBounds = { maxTasks: Number.MAX_SAFE_INTEGER, maxBytes: Number.MAX_SAFE_INTEGER };

export function prepareWrites(db: Database): Record<string, Write> {
  const { insertTask } = prepareInsert(db);
  const { giveTurnBack } = prepareOrder(db);
  const answer: Statement<TaskRecord> = db.prepare(
    `UPDATE tasks SET status = 'succeeded', headers = '[]', started_at_ms = @atMs, finished_at_ms = @atMs,
       answer_status = @status, answer_headers = @headers, upstream_ms = @upstreamMs, answer_key = @key,
       answer_size = @size, answer_sha256 = @sha256
     WHERE seq = @seq AND status = 'pending' RETURNING *`,
  );
  const putBytes = db.prepare("INSERT INTO inline_answers (seq, bytes) VALUES (?, ?)");
  const keep = db.prepare(
    `INSERT INTO cached_answers (key, seq) SELECT ?, seq FROM tasks
       WHERE uuid = ? AND status = 'succeeded' AND answer_status BETWEEN 200 AND 299
     ON CONFLICT DO UPDATE SET seq = excluded.seq`,
  );
  const forget = db.prepare("DELETE FROM cached_answers WHERE key = ?");

  return {
    insertAnswered(task: NewTaskRecord, given: AnswerRecord, atMs: number): { record: TaskRecord; replayed: boolean } {
      const inserted = insertTask(task, { bounds: NO_BOUNDS, weight: 1 });
      if (inserted.replayed) return inserted;
      const { seq } = inserted.record;
      // It never waits, so it takes nobody's turn.
      giveTurnBack(inserted.record);
      const { body, ...head } = given;
      const { key, size, sha256 } = body;
      const record = answer.get({ seq, atMs, ...head, key, size, sha256 })!;
      if (body.bytes !== null) putBytes.run(seq, body.bytes);
      failpoint("answered.before_commit");
      return { record, replayed: false };
    },
    keepAnswer(key: string, uuid: string): boolean {
      const { changes } = keep.run(key, uuid);
      failpoint("cache.before_commit");
      return changes === 1;
    },
    forgetAnswer(key: string): void {
      forget.run(key);
    },
  };
}
