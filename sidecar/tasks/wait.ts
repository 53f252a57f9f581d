/** Waiting for tasks by events, not by asking again: one listener on the store, one entry per waited-for task. */
import { SluiceError } from "../../core/contract/errors.js";
import { isFinal } from "../../core/contract/tasks.js";
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
   * The task once it is final, or as it is when the time is up or the signal aborts; null when there is none of that name.
   * @param waitMs 0 answers at once
   */
  async untilFinal(uuid: string, waitMs: number, signal: AbortSignal): Promise<TaskRow | null> {
    const task = this.#store.get(uuid);
    if (task === null || isFinal(task.status) || waitMs <= 0 || signal.aborted) return task;
    let unwatch = () => {};
    let timer: NodeJS.Timeout | undefined;
    let stop = () => {};
    try {
      // Reading and watching happen in one turn of the event loop: no commit can be announced in between.
      await new Promise<void>((resolve) => {
        stop = resolve;
        unwatch = this.watch(uuid, (changed) => isFinal(changed.status) && resolve());
        timer = setTimeout(resolve, Math.min(waitMs, 2_147_483_647));
        signal.addEventListener("abort", stop, { once: true });
      });
      return this.#store.get(uuid);
    } finally {
      unwatch();
      clearTimeout(timer);
      signal.removeEventListener("abort", stop);
    }
  }

  close(): void {
    this.#unsubscribe();
  }
}
