/** How a callback's delivery ended, run in the writer's thread. The row itself is written with its task, its due time by a trigger. */
import { failpoint } from "../../core/runtime/failpoints.js";
import type { Database } from "../db/open.js";
import type { Write } from "../db/writer-messages.js";
import type { CallbackOutcome } from "./upkeep-store.js";

export function prepareWrites(db: Database): Record<string, Write> {
  const again = db.prepare(
    "UPDATE callbacks SET attempts = attempts + 1, due_at_ms = ? WHERE seq = ? AND state = 'pending'",
  );
  // The URL may hold a token, and is needed no more.
  const over = db.prepare(
    "UPDATE callbacks SET attempts = attempts + 1, state = ?, url = NULL WHERE seq = ? AND state = 'pending'",
  );
  return {
    settleCallback(seq: number, outcome: CallbackOutcome): boolean {
      const { changes } =
        outcome.state === "pending" ? again.run(Math.round(outcome.dueAtMs), seq) : over.run(outcome.state, seq);
      failpoint("callback.before_commit");
      return changes === 1;
    },
  };
}
