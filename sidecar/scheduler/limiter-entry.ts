/** What the two kinds of limiter have in common: how one is entered, and which of Bottleneck's inner members are leaned on. */
import type Bottleneck from "bottleneck";
import { SluiceError } from "../../core/contract/errors.js";

/** A class's budget: starts. Both forms count in steps of 250 ms. */
export type ClassBudget = {
  /** Starts there are at the beginning; with a refresh, after each one too. */
  readonly amount: number;
} & (
  | { readonly refreshMs: number }
  | { readonly increase: { readonly amount: number; readonly everyMs: number; readonly maximum: number } }
);

/** What comes back to a budget, and how often. */
export interface Refill {
  readonly amount: number;
  readonly everyMs: number;
}

export function refillOf(budget: ClassBudget): Refill {
  return "increase" in budget
    ? { amount: budget.increase.amount, everyMs: budget.increase.everyMs }
    : { amount: budget.amount, everyMs: budget.refreshMs };
}

/** How full a limiter is. */
export interface Fill {
  readonly running: number;
  /** Starts left of its budget; null when it has none. */
  readonly left: number | null;
}

export interface Limits {
  /** Entries that may be in at a time; default any number. */
  readonly maxConcurrent?: number;
  readonly budget?: ClassBudget;
}

/** One link of a chain. */
export interface Limiter {
  /**
   * Resolves, when one more is let in, with the function that leaves again (harmless twice).
   * @param priority 0 (first) to 9
   * @throws SHUTTING_DOWN after stop()
   */
  enter(priority: number): Promise<() => void>;
  /** Gives one start back to the budget. */
  refund(): void;
  /** Reads alone. */
  fill(): Promise<Fill>;
}

export interface Limiters {
  /** The one limiter of this id, made at its first use; changed limits take effect for whatever is not let in yet. */
  of(id: string, limits: Limits): Limiter;
  /** True when several sidecars share these. */
  readonly isShared: boolean;
  /** True while what keeps them cannot be reached. Absent where that cannot be. */
  isAway?(): boolean;
  stop(): Promise<void>;
}

/** Members of a Bottleneck of 2.19.5 that its typings do not name. */
export interface Inside {
  readonly _store: object;
  /** Jobs that are in, by the name they have in the store. */
  readonly _scheduled: Readonly<Record<string, unknown>>;
  /** Lets in who can be let in. Never rejects. */
  _drainAll(): Promise<number>;
}

export const STOPPED = "permits are stopped";

export function enter(limiter: Bottleneck, priority: number): Promise<() => void> {
  return new Promise((resolve, reject) => {
    limiter
      .schedule({ priority }, () => new Promise<void>((leave) => resolve(leave)))
      .catch((cause: Error) => {
        reject(cause.message === STOPPED ? new SluiceError("SHUTTING_DOWN", "Sluice is stopping", { cause }) : cause);
      });
  });
}

export async function fillOf(limiter: Bottleneck): Promise<Fill> {
  const [running, left] = await Promise.all([limiter.running(), limiter.currentReservoir()]);
  return { running, left };
}

/** Bottleneck looks at reservoirs in steps of this. */
const STEP_MS = 250;

/** All of a limiter's settings but the starts that are left. */
export function settingsOf({ maxConcurrent, budget }: Limits): Bottleneck.ConstructorOptions {
  const refresh = budget !== undefined && "refreshMs" in budget ? budget : null;
  const increase = budget !== undefined && "increase" in budget ? budget.increase : null;
  return {
    maxConcurrent: maxConcurrent ?? null,
    reservoirRefreshAmount: refresh?.amount ?? null,
    reservoirRefreshInterval: refresh === null ? null : inSteps(refresh.refreshMs),
    reservoirIncreaseAmount: increase?.amount ?? null,
    reservoirIncreaseInterval: increase === null ? null : inSteps(increase.everyMs),
    reservoirIncreaseMaximum: increase?.maximum ?? null,
  };
}

function inSteps(ms: number): number {
  return Math.max(STEP_MS, Math.ceil(ms / STEP_MS) * STEP_MS);
}
