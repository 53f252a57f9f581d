/**
 * Reads a history's log and says which promise it breaks. Written from the promises, with nothing of the scheduler's code: what it knows
 * of priorities, back-offs and bounds is what the documents say.
 */
import { Patience } from "./judge-disk.js";
import { judgeModels } from "./judge-models.js";
import { Fairness, judgeOrder, Turns } from "./judge-order.js";
import { judgeSends } from "./judge-sends.js";
import { judgeTasks } from "./judge-tasks.js";
import { Ledger } from "./ledger.js";
import type { LogEntry } from "./log-entry.js";

export interface Violation {
  readonly t: number;
  /** The promise, and what was seen. */
  readonly words: string;
}

/** Tells of a broken promise. */
export type Accuse = (words: string) => void;

export function checkHistory(log: readonly LogEntry[]): Violation[] {
  const violations: Violation[] = [];
  const ledger = new Ledger();
  const turns = new Turns();
  const fairness = new Fairness();
  const patience = new Patience();
  for (const entry of log) {
    const accuse = (words: string) => void violations.push({ t: entry.t, words });
    judgeTasks(entry, ledger, accuse);
    patience.see(entry, accuse);
    judgeSends(entry, ledger, accuse);
    judgeModels(entry, ledger, accuse);
    if (entry.type === "commit") {
      judgeOrder(entry, ledger, { turns, accuse });
      fairness.see(entry, ledger, accuse);
    }
    ledger.apply(entry);
  }
  return violations;
}
