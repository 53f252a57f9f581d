/**
 * What becomes of tasks that are final, as stores: retention, callbacks, the index of answers that may be given again. Small
 * interfaces beside `store.ts`; each writing call resolves only when the change is durable.
 */
import type { FailureReason } from "../../core/contract/tasks.js";
import type { Removal, RemovalCursor, RemovalLimits } from "./retention-rules.js";
import type { NewTask, Outcome, TaskAnswer, TaskRow } from "./store.js";

export interface RetentionStore {
  /** Final tasks and the bytes of their answers: counters, not a scan. */
  totals(): { tasks: number; bytes: number };
  /** When the oldest final task ended, epoch milliseconds; null when there is none. */
  oldestFinishedAtMs(): number | null;
  /**
   * Looks at the next few final tasks, oldest first, and removes those that may go, with everything that hangs on them.
   * @param after where the look before ended; null begins with the oldest
   */
  remove(limits: RemovalLimits, after: RemovalCursor | null): Promise<Removal>;
}

/** A callback that is to be delivered, with what its message says. */
export interface DueCallback {
  readonly seq: number;
  readonly uuid: string;
  readonly url: string;
  readonly origin: string;
  /** Deliveries tried before. */
  readonly attempts: number;
  readonly status: "succeeded" | "failed";
  readonly reason: FailureReason | null;
  readonly model: string;
  readonly type: string;
  readonly resultStatus: number | null;
  readonly finishedAtMs: number;
}

/** How one delivery ended: `pending` is tried again. */
export type CallbackOutcome =
  | { readonly state: "delivered" | "failed" }
  | { readonly state: "pending"; readonly dueAtMs: number };

export interface CallbackStore {
  /** Every origin something is to be delivered to, and when its next delivery is due. At most 1,000 of them. */
  origins(): { origin: string; dueAtMs: number }[];
  /** The longest due for one origin first. */
  due(origin: string, nowMs: number, limit: number): DueCallback[];
  /** Counts one delivery and writes down how it ended. False when the task is gone. */
  settle(seq: number, outcome: CallbackOutcome): Promise<boolean>;
  /** Null where the task has no callback, or there is no such task. */
  stateOf(uuid: string): { state: "pending" | "delivered" | "failed"; attempts: number } | null;
}

export interface AnswerIndex {
  /** The newest answer kept under this key, if it is not older than that. */
  find(key: string, notBeforeMs: number): { answer: TaskAnswer; finishedAtMs: number } | null;
  /** Keeps a succeeded task's answer under a key, in place of an older one. False when the task is gone. */
  keep(key: string, uuid: string): Promise<boolean>;
  /** Forgets what is kept under a key. */
  forget(key: string): Promise<void>;
  /** Makes a task durable that is final from the start: one transaction, so nobody ever sees it wait. */
  insertAnswered(task: NewTask, outcome: Outcome): Promise<{ task: TaskRow; replayed: boolean }>;
}
