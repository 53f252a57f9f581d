/** The index of answers that may be given again, in SQLite. */
import type { Database, Statement } from "../db/open.js";
import type { Writer } from "../db/writer.js";
import type { SqliteTaskStore } from "./sqlite-store.js";
import type { AnswerIndex } from "./upkeep-store.js";

export function createSqliteAnswers(database: Database, writer: Writer, store: SqliteTaskStore): AnswerIndex {
  const find: Statement<{ uuid: string }> = database.prepare(
    `SELECT uuid FROM cached_answers JOIN tasks USING (seq)
     WHERE key = ? AND status = 'succeeded' AND answer_status BETWEEN 200 AND 299 AND finished_at_ms >= ?`,
  );
  return {
    find(key, notBeforeMs) {
      const found = find.get(key, notBeforeMs);
      const task = found === undefined ? null : store.get(found.uuid);
      if (task === null || task.answer === null) return null;
      return { answer: task.answer, finishedAtMs: task.finishedAtMs! };
    },
    keep: (key, uuid) => writer.call<boolean>("keepAnswer", [key, uuid]),
    forget: (key) => writer.call("forgetAnswer", [key]),
    insertAnswered: (task, outcome) => store.insertAnswered(task, outcome),
  };
}
