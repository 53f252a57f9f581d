/** Removing final tasks, run in the writer's thread: a few per call, so that a million of them hold up nobody's commit. */
import { failpoint } from "../../core/runtime/failpoints.js";
import type { Database, Statement } from "../db/open.js";
import type { Write } from "../db/writer-messages.js";
import { mayGo, type Removal, type RemovalCursor, type RemovalLimits } from "./retention-rules.js";

/** Rows looked at per call. */
const LOOK_AT_MOST = 50;

interface FinalRecord {
  readonly seq: number;
  readonly finished_at_ms: number;
  readonly answer_size: number | null;
  readonly is_owed: 0 | 1;
}

/** A final task has no payload's file any more; one that is named all the same goes too. */
interface GoneRecord {
  readonly payload_key: string | null;
  readonly answer_key: string | null;
}

export function prepareWrites(db: Database): Record<string, Write> {
  const oldest: Statement<FinalRecord> = db.prepare(
    `SELECT seq, finished_at_ms, answer_size,
       EXISTS (SELECT 1 FROM callbacks WHERE callbacks.seq = tasks.seq AND state = 'pending') AS is_owed
     FROM tasks INDEXED BY tasks_final
     WHERE status IN ('succeeded', 'failed') AND (finished_at_ms, seq) > (?, ?)
     ORDER BY finished_at_ms, seq LIMIT ${LOOK_AT_MOST}`,
  );
  const totals: Statement<{ bytes: number }> = db.prepare("SELECT bytes FROM final_totals");
  // Bodies, attempts, callback and cache entry go by their foreign keys.
  const remove: Statement<GoneRecord> = db.prepare(
    "DELETE FROM tasks WHERE seq = ? AND status IN ('succeeded', 'failed') RETURNING payload_key, answer_key",
  );

  return {
    removeFinal(limits: RemovalLimits, after: RemovalCursor | null): Removal {
      const before = totals.get()!.bytes;
      const looked = oldest.all(after?.finishedAtMs ?? -1, after?.seq ?? -1);
      const releasedKeys: string[] = [];
      let bytes = 0;
      let tasks = 0;
      for (const record of looked) {
        if (!mayGo(record.finished_at_ms, before - bytes, limits)) return { tasks, bytes, releasedKeys, next: null };
        // Whoever is to be told of it has not been told yet.
        if (record.is_owed === 1) continue;
        const gone = remove.get(record.seq)!;
        for (const key of [gone.payload_key, gone.answer_key]) if (key !== null) releasedKeys.push(key);
        bytes += record.answer_size ?? 0;
        tasks += 1;
      }
      failpoint("retention.before_commit");
      const last = looked.length === LOOK_AT_MOST ? looked.at(-1)! : null;
      return {
        tasks,
        bytes,
        releasedKeys,
        next: last === null ? null : { finishedAtMs: last.finished_at_ms, seq: last.seq },
      };
    },
  };
}
