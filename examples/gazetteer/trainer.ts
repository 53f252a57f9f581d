import { setImmediate as nextTurn, setTimeout as pause } from "node:timers/promises";
import type { Run, RunBook } from "./runs.js";

export const BUSY_MESSAGE =
  "Another training or evaluation on this model is still active. Please retry when it is over.";

/** One job at a time each: supervised training and evaluation share theirs. */
export type Slot = "supervised" | "unsupervised";

/** What a job needs of the world; both calls throw {@link Cancelled}. */
export interface Work {
  readonly run: Run;
  readonly runs: RunBook;
  /** Called once for each document done. */
  readonly dwell: () => Promise<void>;
  /** Aborted when the job is cancelled. */
  readonly signal: AbortSignal;
  /** Lets other requests have their turn. */
  readonly breathe: () => Promise<void>;
}

export interface TrainerOptions {
  readonly docMs: number;
  /** Null: never fails on purpose. */
  readonly failAfter: number | null;
}

export interface JobOrder {
  readonly slot: Slot;
  readonly name: string;
  readonly experiment: string;
  readonly tags: Record<string, string>;
  readonly logFrequency: number;
  readonly work: (work: Work) => Promise<void>;
}

export class Cancelled extends Error {}

/** Runs jobs in the background, one for each slot. */
export class Trainer {
  readonly #active = new Map<Slot, { run: Run; abort: AbortController; ended: Promise<void> }>();

  constructor(
    readonly runs: RunBook,
    readonly options: TrainerOptions,
  ) {}

  /** @returns the new run, or `busy` with the run that has the slot */
  start(order: JobOrder): { readonly run: Run } | { readonly busy: Run } {
    const active = this.#active.get(order.slot);
    if (active !== undefined) return { busy: active.run };
    const run = this.runs.start(order.name, order.experiment, order.tags);
    const abort = new AbortController();
    const ended = this.#perform(order, run, abort.signal).finally(() => this.#active.delete(order.slot));
    this.#active.set(order.slot, { run, abort, ended });
    return { run };
  }

  /** Marks every running job. @returns false when none runs */
  cancel(): boolean {
    for (const { abort } of this.#active.values()) abort.abort();
    return this.#active.size > 0;
  }

  /** Cancels and waits until the ends are written down. */
  async stop(): Promise<void> {
    this.cancel();
    await Promise.all([...this.#active.values()].map(({ ended }) => ended));
  }

  async #perform(order: JobOrder, run: Run, signal: AbortSignal): Promise<void> {
    const { docMs, failAfter } = this.options;
    let done = 0;
    const breathe = async () => {
      await nextTurn();
      if (signal.aborted) throw new Cancelled();
    };
    const dwell = async () => {
      await pause(docMs, undefined, { signal }).catch(() => {});
      if (signal.aborted) throw new Cancelled();
      done++;
      if (done % order.logFrequency === 0) this.runs.record(run, "documents_done", done);
      if (failAfter !== null && done >= failAfter)
        throw new Error(`Failed after ${done} documents as told by --train-fail-after`);
    };
    try {
      await order.work({ run, runs: this.runs, dwell, signal, breathe });
      await this.runs.finish(run, "FINISHED");
    } catch (error) {
      const isCancelled = error instanceof Cancelled || signal.aborted;
      if (!isCancelled) run.tags.exception = (error as Error).message;
      await this.runs.finish(run, isCancelled ? "KILLED" : "FAILED").catch(() => {});
    }
  }
}
