/**
 * What past runs teach: how long a lane's tasks run, how many run together, how long a model takes to start, how much of a class's
 * budget is used. Told of events with their time, it keeps means and what runs now; it asks nobody and knows no clock.
 */
import { LRUCache } from "lru-cache";
import type { ModelState } from "../../core/contract/models.js";
import type { Lane } from "../tasks/store.js";
import { type Budget, blend, estimateRemainingMs } from "./estimate.js";
import type { Refill } from "./limiter-entry.js";

/** Lanes and models remembered; the ones longest unused are forgotten first. */
const MAX_LANES = 2_000;
const MAX_MODELS = 1_000;
const MAX_CLASSES = 1_000;

/** One task that a model server has now. */
export interface Run extends Lane {
  readonly sinceMs: number;
  readonly training: boolean;
  /** False once a training was accepted: its run goes on without a call's slots. */
  readonly isCall: boolean;
}

export interface StartTerms {
  /** Its slots were taken when it came: what runs now is what runs together under load. */
  readonly hadToWait: boolean;
  /** How many may run together. */
  readonly limit: number;
  /** Of the class's budget; null when it has none. */
  readonly refreshMs: number | null;
}

interface LanePace {
  readonly runMs: number | null;
  /** How many of the model's ran at a time when this lane's tasks had to wait. */
  readonly together: number | null;
}

interface ModelPace {
  readonly coldStartMs: number | null;
  readonly startingSinceMs: number | null;
}

const UNKNOWN: LanePace = { runMs: null, together: null };

export class Pace {
  readonly #lanes = new LRUCache<string, LanePace>({ max: MAX_LANES });
  readonly #models = new LRUCache<string, ModelPace>({ max: MAX_MODELS });
  readonly #windows = new LRUCache<string, { sinceMs: number; starts: number }>({ max: MAX_CLASSES });
  /** By task; as many as run. */
  readonly #runs = new Map<string, Run>();

  started(uuid: string, run: Run, { hadToWait, limit, refreshMs }: StartTerms): void {
    this.#runs.set(uuid, run);
    if (refreshMs !== null) this.#countStart(run, refreshMs);
    if (!hadToWait) return;
    const together = this.holders(run).length;
    this.#change(run, (pace) => ({ ...pace, together: blend(pace.together ?? limit, together) }));
  }

  #countStart({ class: name, sinceMs }: Run, refreshMs: number): void {
    const window = this.#windows.get(name);
    if (window === undefined || sinceMs - window.sinceMs >= refreshMs) this.#windows.set(name, { sinceMs, starts: 1 });
    else this.#windows.set(name, { ...window, starts: window.starts + 1 });
  }

  /** A training was accepted. */
  accepted(uuid: string): void {
    const run = this.#runs.get(uuid);
    if (run !== undefined) this.#runs.set(uuid, { ...run, isCall: false });
  }

  /** @param counts false when the end tells nothing of how long such tasks run (put back, cancelled, never sent) */
  ended(uuid: string, nowMs: number, counts: boolean): void {
    const run = this.#runs.get(uuid);
    if (run === undefined) return;
    this.#runs.delete(uuid);
    if (counts) this.learnRun(run, nowMs - run.sinceMs);
  }

  learnRun(lane: Lane, tookMs: number): void {
    this.#change(lane, (pace) => ({ ...pace, runMs: blend(pace.runMs, Math.max(0, tookMs)) }));
  }

  modelSeen(model: string, state: ModelState, nowMs: number): void {
    const known = this.#models.get(model) ?? { coldStartMs: null, startingSinceMs: null };
    const sinceMs = known.startingSinceMs;
    if (state === "starting") {
      if (sinceMs === null) this.#models.set(model, { ...known, startingSinceMs: nowMs });
    } else if (sinceMs !== null) {
      const coldStartMs = state === "ready" ? blend(known.coldStartMs, nowMs - sinceMs) : known.coldStartMs;
      this.#models.set(model, { coldStartMs, startingSinceMs: null });
    }
  }

  runMs(lane: Lane): number | null {
    return this.#lanes.get(keyOf(lane))?.runMs ?? null;
  }

  /** How many of a lane run at a time, 1..limit. */
  together(lane: Lane, limit: number): number {
    const together = this.#lanes.get(keyOf(lane))?.together ?? limit;
    return Math.max(1, Math.min(limit, Math.round(together)));
  }

  /** Who holds the slots that such a task needs: of the model's trainings its one slot, of its calls the others. */
  holders(of: { model: string; training: boolean }): Run[] {
    return [...this.#runs.values()].filter(
      (run) => run.model === of.model && (of.training ? run.training : run.isCall),
    );
  }

  /** Who holds the slots that all models share. */
  calls(): Run[] {
    return [...this.#runs.values()].filter((run) => run.isCall);
  }

  remainingMs(run: Run, nowMs: number): number | null {
    return estimateRemainingMs(this.runMs(run), nowMs - run.sinceMs);
  }

  /** Until a model that is started, or will be at once, is ready; null when no start was seen yet. */
  coldStartMs(model: string, nowMs: number): number | null {
    const { coldStartMs = null, startingSinceMs = null } = this.#models.get(model) ?? {};
    return estimateRemainingMs(coldStartMs, startingSinceMs === null ? 0 : nowMs - startingSinceMs);
  }

  budget(className: string, { amount, everyMs: refreshMs }: Refill, nowMs: number): Budget {
    const window = this.#windows.get(className);
    const ageMs = window === undefined ? refreshMs : nowMs - window.sinceMs;
    if (window === undefined || ageMs >= refreshMs)
      return { left: amount, amount, refreshMs, untilRefreshMs: refreshMs };
    return { left: Math.max(0, amount - window.starts), amount, refreshMs, untilRefreshMs: refreshMs - ageMs };
  }

  #change(lane: Lane, change: (pace: LanePace) => LanePace): void {
    const key = keyOf(lane);
    this.#lanes.set(key, change(this.#lanes.get(key) ?? UNKNOWN));
  }
}

function keyOf({ model, class: name }: Lane): string {
  return `${name}\u0000${model}`;
}
