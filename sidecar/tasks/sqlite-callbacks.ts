/** Callbacks in SQLite. */
import type { Database, Statement } from "../db/open.js";
import type { Writer } from "../db/writer.js";
import type { CallbackStore, DueCallback } from "./upkeep-store.js";

const MAX_ORIGINS = 1_000;

type State = "waiting" | "pending" | "delivered" | "failed";

export function createSqliteCallbacks(database: Database, writer: Writer): CallbackStore {
  // From each origin straight to the next one in the index, whatever waits for it.
  const origins: Statement<{ origin: string; dueAtMs: number }> = database.prepare(
    `WITH RECURSIVE owed (origin) AS (
       SELECT (SELECT min(origin) FROM callbacks INDEXED BY callbacks_due WHERE state = 'pending')
       UNION ALL
       SELECT (SELECT min(origin) FROM callbacks INDEXED BY callbacks_due WHERE state = 'pending' AND origin > owed.origin)
       FROM owed WHERE owed.origin IS NOT NULL LIMIT ${MAX_ORIGINS})
     SELECT origin, (SELECT min(due_at_ms) FROM callbacks INDEXED BY callbacks_due
       WHERE state = 'pending' AND origin = owed.origin) AS dueAtMs
     FROM owed WHERE origin IS NOT NULL`,
  );
  const due: Statement<DueCallback> = database.prepare(
    `SELECT seq, uuid, url, origin, attempts, tasks.status, reason, model, task AS type, answer_status AS resultStatus,
       finished_at_ms AS finishedAtMs
     FROM (SELECT * FROM callbacks INDEXED BY callbacks_due WHERE state = 'pending' AND origin = ? AND due_at_ms <= ?
       ORDER BY due_at_ms LIMIT ?) JOIN tasks USING (seq)`,
  );
  const state: Statement<{ state: State; attempts: number }> = database.prepare(
    "SELECT state, attempts FROM callbacks WHERE seq = (SELECT seq FROM tasks WHERE uuid = ?)",
  );
  return {
    origins: () => origins.all(),
    due: (origin, nowMs, limit) => due.all(origin, nowMs, limit),
    settle: (seq, outcome) => writer.call<boolean>("settleCallback", [seq, outcome]),
    stateOf(uuid) {
      const found = state.get(uuid);
      if (found === undefined) return null;
      return { state: found.state === "waiting" ? "pending" : found.state, attempts: found.attempts };
    },
  };
}
