/** When a part that died is started again. Pure; `cli/part.ts` acts on it. */

/** A part that lived this long has proven itself: its next death counts as the first. */
export const PROVEN_AFTER_MS = 30_000;
const FIRST_DELAY_MS = 100;
const LONGEST_DELAY_MS = 5_000;
/** Deaths in a row before the part was ever ready, after which starting is given up. */
const TRIES_AT_START = 3;

export interface Death {
  /** Deaths in a row before this one. */
  readonly deathsBefore: number;
  /** From start to death. */
  readonly livedMs: number;
  /** Whether the part was ready at any time since the supervisor began. */
  readonly wasEverReady: boolean;
  /** Whether it named a cause that trying again cannot cure, such as a port that is taken. */
  readonly saidWhy: boolean;
}

export type RestartDecision =
  | { readonly action: "restart"; readonly delayMs: number; readonly deaths: number }
  | { readonly action: "give-up" };

/**
 * The first restart is at once, later ones wait 100 ms doubling to 5 s. A part that served once is always started again; one that never
 * did is given up after three tries, or at once when it said why, because then a person must act.
 */
export function decideRestart(death: Death): RestartDecision {
  const before = death.livedMs >= PROVEN_AFTER_MS ? 0 : death.deathsBefore;
  const deaths = before + 1;
  if (!death.wasEverReady && (death.saidWhy || deaths >= TRIES_AT_START)) return { action: "give-up" };
  const delayMs = before === 0 ? 0 : Math.min(FIRST_DELAY_MS * 2 ** Math.min(before - 1, 30), LONGEST_DELAY_MS);
  return { action: "restart", delayMs, deaths };
}
