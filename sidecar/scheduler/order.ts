/**
 * Which waiting task goes first: urgency, then fair share between tenants, then age. Pure; the store's writer asks it inside the
 * transaction that claims.
 *
 * A **line** is what waits for one model at one priority. Lines are served in order of rank; a line's rank is its priority, one better
 * for every `ageing` its oldest task has waited, but never better than the most urgent priority that waits: ageing lifts a line until
 * it stands *beside* the most urgent one, and lines that stand side by side take turns. So an old backlog cannot shut out what is
 * urgent, and what is urgent cannot shut out the oldest task of any line for longer than 9 × `ageing` and the calls under way.
 *
 * Inside a line, tenants share by start-time fair queueing: each task gets a **turn** when it arrives, which never changes. A tenant's
 * turns lie `TURN / weight` apart and begin no earlier than the line's present turn, so whoever floods a line queues behind itself.
 */

/** Distance between two turns of a tenant of weight 1. */
export const TURN = 1_000;

/** The distance for a weight; at least 1, so that turns of one tenant never meet. */
export function turnCost(weight: number): number {
  return Math.max(1, Math.round(TURN / weight));
}

/**
 * The turn of a task that arrives.
 * @param current the largest turn its line has started, 0 for a new line
 * @param next the end of its tenant's last turn in this line, null when it has none there
 */
export function turnOf(current: number, next: number | null): number {
  return Math.max(current, next ?? 0);
}

/** A line with something due. */
export interface WaitingLine {
  readonly priority: number;
  /** Epoch time at which its oldest due task was created. */
  readonly oldestMs: number;
  /** Grows with each start; the line with the smallest was served longest ago, 0 is never. */
  readonly served: number;
}

/** @param best the most urgent priority among the lines it is compared with */
export function rankOf(
  line: Pick<WaitingLine, "priority" | "oldestMs">,
  best: number,
  nowMs: number,
  ageingMs: number,
): number {
  // A clock that was set back must not make anything wait longer than its priority says.
  const lifts = Math.floor(Math.max(0, nowMs - line.oldestMs) / ageingMs);
  return Math.max(Math.min(best, line.priority), line.priority - lifts);
}

/** Epoch time at which the line's rank improves by itself, or null when it stands as well as it can. */
export function nextLiftMs(
  line: Pick<WaitingLine, "priority" | "oldestMs">,
  best: number,
  nowMs: number,
  ageingMs: number,
): number | null {
  const rank = rankOf(line, best, nowMs, ageingMs);
  return rank <= best ? null : line.oldestMs + (line.priority - rank + 1) * ageingMs;
}

/** The line to serve now, or null when nothing is due. */
export function chooseLine<Line extends WaitingLine>(
  lines: readonly Line[],
  nowMs: number,
  ageingMs: number,
): Line | null {
  const best = Math.min(...lines.map((line) => line.priority));
  let chosen: Line | null = null;
  let chosenRank = Number.POSITIVE_INFINITY;
  for (const line of lines) {
    const rank = rankOf(line, best, nowMs, ageingMs);
    if (rank < chosenRank || (rank === chosenRank && goesBefore(line, chosen!))) {
      chosen = line;
      chosenRank = rank;
    }
  }
  return chosen;
}

/** Among lines of one rank: who was served longest ago, then the more urgent, then the older. */
function goesBefore(one: WaitingLine, other: WaitingLine): boolean {
  if (one.served !== other.served) return one.served < other.served;
  if (one.priority !== other.priority) return one.priority < other.priority;
  return one.oldestMs < other.oldestMs;
}
