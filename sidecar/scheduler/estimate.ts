/** When a waiting task will start, about. Pure arithmetic over what `pace.ts` has learned; it knows no clock. */

/** A budget that a start uses up: a class's, or a model's rate limit. */
export interface Budget {
  /** Starts left now. */
  readonly left: number;
  readonly amount: number;
  readonly refreshMs: number;
  /** Until `left` is `amount` again. */
  readonly untilRefreshMs: number;
}

/** Spans are milliseconds from now; null means that nothing is known about it. */
export interface Prospect {
  /** Tasks that start before it. */
  readonly position: number;
  /** Until it may start at all (a retry, a busy trainer); 0 or below when it may. */
  readonly notBeforeMs: number;
  /** Until its model is ready; 0 when it is. */
  readonly modelMs: number | null;
  /** Until one of the slots that all models share is free. */
  readonly globalMs: number | null;
  /** How many tasks like it run at a time, 1 or more. */
  readonly slots: number;
  /** What holds these slots now: how much longer, each. */
  readonly remainingMs: readonly (number | null)[];
  /** How long one like it runs. */
  readonly runMs: number | null;
  readonly budgets: readonly Budget[];
}

/** @returns null when one of the things it waits for cannot be told */
export function estimateStartMs(prospect: Prospect): number | null {
  const { position, notBeforeMs, modelMs, globalMs, budgets } = prospect;
  const slotMs = estimateSlotMs(prospect);
  if (modelMs === null || globalMs === null || slotMs === null) return null;
  return Math.max(
    0,
    notBeforeMs,
    globalMs,
    modelMs + slotMs,
    ...budgets.map((each) => estimateBudgetMs(each, position)),
  );
}

/**
 * Until those before it have started and a slot is free for it. Slots come free one after the other, then again one run later, and so
 * on; so this is one division, however many wait.
 */
export function estimateSlotMs(
  prospect: Pick<Prospect, "position" | "slots" | "remainingMs" | "runMs">,
): number | null {
  const { position, slots, remainingMs, runMs } = prospect;
  const busy: number[] = [];
  for (const each of remainingMs) {
    const known = each ?? runMs;
    if (known === null && position + remainingMs.length >= slots) return null;
    busy.push(known ?? 0);
  }
  // More may run than there are slots, after the limit was lowered: the first of them to end free none.
  busy.sort((one, other) => one - other).splice(0, busy.length - slots);
  const freeMs = [...new Array<number>(slots - busy.length).fill(0), ...busy];
  const rounds = Math.floor(position / slots);
  if (rounds > 0 && runMs === null) return null;
  return freeMs[position % slots]! + rounds * (runMs ?? 0);
}

export function estimateBudgetMs({ left, amount, refreshMs, untilRefreshMs }: Budget, position: number): number {
  if (position < left) return 0;
  return untilRefreshMs + Math.floor((position - left) / amount) * refreshMs;
}

/** How much longer something runs. What has outlasted its mean is the likelier to go on, the longer it has. */
export function estimateRemainingMs(meanMs: number | null, elapsedMs: number): number | null {
  return meanMs === null ? null : Math.max(meanMs - elapsedMs, elapsedMs / 10);
}

/** The newest of about ten samples count for most of the mean. */
const NEWEST_COUNTS = 0.2;

/** Exponentially weighted mean. */
export function blend(mean: number | null, sample: number): number {
  return mean === null ? sample : mean + NEWEST_COUNTS * (sample - mean);
}
