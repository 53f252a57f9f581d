/**
 * Looks at the places of waiting tasks for those who watch them, one after the other. A place among 100,000 tasks costs milliseconds, so
 * all looks together take a small share of the time, however many watch; then each comes round less often.
 */
import type { Clock } from "../../core/runtime/clock.js";

/** A waiting task's position changes by what others do; it is looked at this often at most. */
export const POSITION_MS = 2_000;
/** Looks in one go. */
const SLICE_MS = 10;
/** After a go this many times as long as it took. */
const PAUSE_SHARE = 9;
const LEAST_PAUSE_MS = 50;

interface Watcher {
  readonly look: () => void;
  lookedAtMs: number;
}

export class PlaceRounds {
  readonly #clock: Clock;
  /** Whoever was looked at longest ago is first. */
  readonly #watchers = new Set<Watcher>();
  #cancelTimer: (() => void) | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The answer ends it. */
  add(look: () => void): () => void {
    const watcher = { look, lookedAtMs: this.#clock.elapsed() };
    this.#watchers.add(watcher);
    if (this.#cancelTimer === null) this.#plan(POSITION_MS);
    return () => {
      this.#watchers.delete(watcher);
      if (this.#watchers.size > 0) return;
      this.#cancelTimer?.();
      this.#cancelTimer = null;
    };
  }

  #plan(pauseMs: number): void {
    this.#cancelTimer = this.#watchers.size === 0 ? null : this.#clock.after(pauseMs, () => this.#go());
  }

  #go(): void {
    const beganMs = this.#clock.elapsed();
    let nowMs = beganMs;
    for (const watcher of this.#watchers) {
      if (nowMs - beganMs >= SLICE_MS || nowMs - watcher.lookedAtMs < POSITION_MS) break;
      watcher.lookedAtMs = nowMs;
      this.#watchers.delete(watcher);
      this.#watchers.add(watcher);
      watcher.look();
      nowMs = this.#clock.elapsed();
    }
    this.#plan(Math.max(LEAST_PAUSE_MS, PAUSE_SHARE * (nowMs - beganMs)));
  }
}
