/**
 * How often a model server may be called: a moving window, as CMS itself counts, and what a refusal (429) teaches. Pure.
 *
 * CMS counts every request twice: its settings of 180, 90 and 10 a minute act as 90, 45 and 5.
 */

/** At most `amount` calls in any window of `perMs`. */
export interface Rate {
  readonly amount: number;
  readonly perMs: number;
}

export interface LearnedRate extends Rate {
  /** When it last changed. */
  readonly sinceMs: number;
}

/** Of a rate nobody configured: CMS counts by the minute. */
export const DEFAULT_PER_MS = 60_000;
/** A rate above this limits nothing; also how many calls are remembered. */
export const MAX_AMOUNT = 10_000;
/** Windows without a refusal after which a learned rate is raised once. */
const QUIET_WINDOWS = 3;

/** Calls travel for unequal times, so the server's window may hold one more than ours: ours is longer by a fiftieth, 50 ms to 1 s. */
export function windowMs(perMs: number): number {
  return perMs + Math.min(Math.max(perMs / 50, 50), 1_000);
}

/**
 * @param startsMs calls in the last window, oldest first
 * @returns how long until one more may start; 0 for now
 */
export function waitMs(startsMs: readonly number[], rate: Rate, nowMs: number): number {
  const blocker = startsMs[startsMs.length - rate.amount];
  return blocker === undefined ? 0 : Math.max(0, blocker + windowMs(rate.perMs) - nowMs);
}

/**
 * After a refusal: what the server did take in its window is what it takes, but never less than one call and never more than before.
 * @param accepted calls of the last window that were not refused
 */
export function lowered(accepted: number, former: Rate | null, nowMs: number): LearnedRate {
  const amount = Math.max(1, Math.min(accepted, former?.amount ?? MAX_AMOUNT));
  return { amount, perMs: former?.perMs ?? DEFAULT_PER_MS, sinceMs: nowMs };
}

/**
 * After quiet time: a quarter more, at least one call, every three windows.
 * @returns null once there is nothing left to hold back
 */
export function raised(learned: LearnedRate, configured: Rate | null, nowMs: number): LearnedRate | null {
  const stepMs = QUIET_WINDOWS * learned.perMs;
  let { amount, sinceMs } = learned;
  while (nowMs - sinceMs >= stepMs) {
    amount += Math.max(1, Math.floor(amount / 4));
    sinceMs += stepMs;
    if (amount >= (configured?.amount ?? MAX_AMOUNT)) return null;
  }
  return sinceMs === learned.sinceMs ? learned : { ...learned, amount, sinceMs };
}
