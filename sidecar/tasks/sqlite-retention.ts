/** Retention in SQLite: the counters on this thread, the removal through the writer's. */
import type { Database, Statement } from "../db/open.js";
import type { Writer } from "../db/writer.js";
import type { Removal } from "./retention-rules.js";
import type { RetentionStore } from "./upkeep-store.js";

export function createSqliteRetention(database: Database, writer: Writer): RetentionStore {
  const totals: Statement<{ tasks: number; bytes: number }> = database.prepare("SELECT tasks, bytes FROM final_totals");
  const oldest: Statement<{ atMs: number }> = database.prepare(
    `SELECT finished_at_ms AS atMs FROM tasks INDEXED BY tasks_final WHERE status IN ('succeeded', 'failed')
     ORDER BY finished_at_ms LIMIT 1`,
  );
  return {
    totals: () => totals.get()!,
    oldestFinishedAtMs: () => oldest.get()?.atMs ?? null,
    remove: (limits, after) => writer.call<Removal>("removeFinal", [limits, after]),
  };
}
