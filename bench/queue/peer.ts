/** A queue under measurement: what waits, what is added, what is worked off. The work itself does nothing, so that only the queue counts. */
import type { Histogram } from "../load/histogram.js";

export interface Worked {
  readonly tasks: number;
  readonly durationMs: number;
  /** From one task's end being written down to the next one's start. */
  readonly dispatch: Histogram;
  /** From the end of the work to its result being written down. */
  readonly finish: Histogram;
}

export interface QueuePeer {
  readonly name: string;
  /** Adds tasks as fast as may be; they wait. */
  fill(count: number): Promise<void>;
  /** Adds one; resolves when it is kept for good. */
  submit(): Promise<void>;
  /** Works off `count` of what waits, `concurrency` at a time, and stops. */
  work(count: number, concurrency: number): Promise<Worked>;
  stop(): Promise<void>;
}

/** Starts and ends of tasks as they are seen, turned into the two spans. */
export class WorkClock {
  readonly #dispatch: Histogram;
  readonly #finish: Histogram;
  readonly #endedMs = new Map<string, number>();
  /** When slots became free, oldest first. */
  readonly #freeMs: number[] = [];

  constructor(dispatch: Histogram, finish: Histogram) {
    this.#dispatch = dispatch;
    this.#finish = finish;
  }

  /** The work of a task begins and, being nothing, ends. */
  worked(id: string): void {
    const nowMs = performance.now();
    const freeMs = this.#freeMs.shift();
    if (freeMs !== undefined) this.#dispatch.record(nowMs - freeMs);
    this.#endedMs.set(id, nowMs);
  }

  /** The task's end is written down. */
  kept(id: string): void {
    const nowMs = performance.now();
    const endedMs = this.#endedMs.get(id);
    if (endedMs === undefined) return;
    this.#endedMs.delete(id);
    this.#finish.record(nowMs - endedMs);
    this.#freeMs.push(nowMs);
  }
}
