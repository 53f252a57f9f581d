/** Writes down what became of an attempt: a final state, or back to waiting. A move must reach the disk, so it is tried until it does. */
import { asSluiceError } from "../../core/contract/errors.js";
import type { Clock } from "../../core/runtime/clock.js";
import type { Logger } from "../../core/runtime/logger.js";
import type { BlobStore, Outcome, Requeue, StoredBody, TaskRow, TaskStore } from "../tasks/store.js";

export interface AttemptObserver {
  scheduled(task: TaskRow): void;
  completed(task: TaskRow, outcome: Outcome): void;
  requeued(task: TaskRow): void;
}

export interface SettlerOptions {
  readonly store: TaskStore;
  readonly blobs: BlobStore;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly observer: AttemptObserver;
}

export interface Settler {
  /** A late answer, of an attempt that is not the task's any more, is refused and forgotten. */
  finish(task: TaskRow, outcome: Outcome, signal: AbortSignal): Promise<void>;
  requeue(task: TaskRow, pauseMs: number, why: Requeue, signal: AbortSignal): Promise<void>;
  /**
   * While the store is down the write (or read) is tried again, until the signal aborts (a start then recovers the task).
   * @throws what the write threw when the signal has aborted
   */
  persist<Value>(task: TaskRow, signal: AbortSignal, write: () => Promise<Value>): Promise<Value>;
  discard(body: StoredBody): Promise<void>;
}

/** While the store or its disk is down, between tries to write a task's move. */
export const PERSIST_PAUSE_MS = 1_000;

export function createSettler({ store, blobs, clock, logger, observer }: SettlerOptions): Settler {
  async function persist<Value>(task: TaskRow, signal: AbortSignal, write: () => Promise<Value>): Promise<Value> {
    for (let warned = false; ; warned = true) {
      try {
        return await write();
      } catch (cause) {
        const { code } = asSluiceError(cause);
        if (signal.aborted) throw cause;
        if (!warned)
          logger.error({ taskId: task.uuid, code, err: cause }, "the task store cannot be written; trying again");
        await clock.sleep(PERSIST_PAUSE_MS, signal);
      }
    }
  }

  async function discard(body: StoredBody): Promise<void> {
    if (body.kind === "blob") await blobs.remove(body.key);
  }

  return {
    async finish(task, outcome, signal) {
      const written = await persist(task, signal, () => store.finish(task.uuid, task.attempt, outcome));
      if (written) return observer.completed(task, outcome);
      logger.warn(
        { event: "late_answer", taskId: task.uuid, model: task.model, attempt: task.attempt },
        "an older attempt's answer was refused",
      );
    },
    async requeue(task, pauseMs, why, signal) {
      const written = await persist(task, signal, () =>
        store.requeue(task.uuid, task.attempt, clock.now() + pauseMs, why),
      );
      if (written) observer.requeued(task);
    },
    persist,
    discard,
  };
}
