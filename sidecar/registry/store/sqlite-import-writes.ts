/** What an import writes, run in the writer's thread: versions that have a number already. */
import { failpoint } from "../../../core/runtime/failpoints.js";
import type { Database, Statement } from "../../db/open.js";
import type { Write } from "../../db/writer-messages.js";
import { numberUsed } from "../version-rules.js";
import type { VersionColumns } from "./sqlite-registry-writes.js";

interface Range {
  readonly first: number;
  readonly last: number;
}

export function prepareWrites(db: Database): Record<string, Write> {
  const model: Statement<{ next_number: number }> = db.prepare("SELECT next_number FROM models WHERE instance = ?");
  const advance = db.prepare("UPDATE models SET next_number = ? WHERE instance = ?");
  const insert = db.prepare(
    `INSERT INTO versions (instance, number, creation_timestamp, data_hash, data_bytes, user_data)
     VALUES (@instance, @number, @creationTimestamp, @dataHash, @dataBytes, @userData)`,
  );
  const skipped = prepareSkipped(db);
  return {
    importVersion(version: VersionColumns): boolean {
      const { instance, number } = version;
      const next = model.get(instance)?.next_number;
      if (next === undefined) return false;
      if (number >= next) {
        skipped.add(instance, { first: next, last: number - 1 });
        advance.run(number + 1, instance);
      } else if (!skipped.take(instance, number)) throw numberUsed(number);
      insert.run(version);
      failpoint("registry.import.before_commit");
      return true;
    },
  };
}

function prepareSkipped(db: Database) {
  const around: Statement<Range> = db.prepare(
    "SELECT first, last FROM skipped_numbers WHERE instance = ? AND first <= ? ORDER BY first DESC LIMIT 1",
  );
  const insert = db.prepare("INSERT INTO skipped_numbers (instance, first, last) VALUES (?, ?, ?)");
  const remove = db.prepare("DELETE FROM skipped_numbers WHERE instance = ? AND first = ?");
  const add = (instance: number, { first, last }: Range) => {
    if (first <= last) insert.run(instance, first, last);
  };
  return {
    add,
    /** @returns false where the number is not in any range */
    take(instance: number, number: number): boolean {
      const range = around.get(instance, number);
      if (range === undefined || range.last < number) return false;
      remove.run(instance, range.first);
      add(instance, { first: range.first, last: number - 1 });
      add(instance, { first: number + 1, last: range.last });
      return true;
    },
  };
}
