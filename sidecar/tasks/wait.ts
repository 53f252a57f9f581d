/** Waiting for tasks by events, not by asking again: one listener on the store, one entry per waited-for task. */
import { SluiceError } from "../../core/contract/errors.js";
import type { TaskRow, TaskStore } from "./store.js";

/** Callers that may wait at a time, over all tasks. */
const MAX_WATCHERS = 50_000;

type Watcher = (task: TaskRow) => void;

export class TaskWatch {
  readonly #store: TaskStore;
  readonly #watchers = new Map<string, Set<Watcher>>();
  readonly #unsubscribe: () => void;
  #count = 0;

  constructor(store: TaskStore) {
    this.#store = store;
    this.#unsubscribe = store.onChange((task) => {
      for (const watcher of this.#watchers.get(task.uuid) ?? []) watcher(task);
    });
  }

  /**
   * Calls `watcher` after every change of one task. The answer ends it.
   * @throws QUEUE_FULL when too many callers wait already
   */
  watch(uuid: string, watcher: Watcher): () => void {
    if (this.#count >= MAX_WATCHERS) {
      throw new SluiceError("QUEUE_FULL", "too many callers wait for tasks", { retryAfterMs: 5_000 });
    }
    const watchers = this.#watchers.get(uuid) ?? new Set();
    this.#watchers.set(uuid, watchers.add(watcher));
    this.#count += 1;
    return () => {
      if (!watchers.delete(watcher)) return;
      this.#count -= 1;
      if (watchers.size === 0) this.#watchers.delete(uuid);
    };
  }

  /**
   * The task once it is as wanted, or as it is when the time is up or the signal aborts; null when there is none of that name.
   * @param waitMs 0 answers at once
   */
  async until(
    isDone: (task: TaskRow) => boolean,
    { uuid, waitMs, signal }: { uuid: string; waitMs: number; signal: AbortSignal },
  ): Promise<TaskRow | null> {
    const task = this.#store.get(uuid);
    if (task === null || isDone(task) || waitMs <= 0 || signal.aborted) return task;
    const ends: (() => void)[] = [];
    try {
      // Reading and watching happen in one turn of the event loop: no commit can be announced in between.
      const done = await new Promise<TaskRow | null>((resolve) => {
        const giveUp = () => resolve(null);
        ends.push(this.watch(uuid, (changed) => isDone(changed) && resolve(changed)));
        const timer = setTimeout(giveUp, Math.min(waitMs, 2_147_483_647));
        ends.push(() => clearTimeout(timer));
        signal.addEventListener("abort", giveUp, { once: true });
        ends.push(() => signal.removeEventListener("abort", giveUp));
      });
      return done ?? this.#store.get(uuid);
    } finally {
      for (const end of ends) end();
    }
  }

  close(): void {
    this.#unsubscribe();
  }
}
