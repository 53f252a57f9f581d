/** Whether a ready model server still counts as there, from what its checks say. Pure. */

/**
 * What one readiness check said.
 * - `ready`: it may be routed to
 * - `unready`: it answered, but not that it is ready
 * - `silent`: no answer within the bound, or a connection that broke
 * - `refused`: nothing listens on its port
 */
const CHECK_OUTCOMES = ["ready", "unready", "silent", "refused"] as const;
export type CheckOutcome = (typeof CHECK_OUTCOMES)[number];

/** What must be remembered between two checks of a ready server. */
export interface Health {
  /** Refused connections in a row. */
  readonly refusals: number;
  /** Since when no check was good and none was refused, null while the last one was good. */
  readonly unwellSince: number | null;
}

export const WELL: Health = { refusals: 0, unwellSince: null };

/** So many refused connections in a row make a server unreachable. */
const REFUSALS_TO_UNREACHABLE = 3;

/**
 * A server that works on a blocking route answers nothing at all, its health check included, for as long as its generation may
 * take (180 s by default); only a longer silence means anything.
 */
export const SILENCE_TO_UNREACHABLE_MS = 200_000;

/** As long as a silent server is believed to be at work on an accepted training (`sidecar/scheduler/training.ts`). */
export const LONGEST_SILENCE_MS = 3_600_000;

export interface Reachability {
  readonly health: Health;
  readonly reachable: boolean;
}

export function decideReachability(health: Health, outcome: CheckOutcome, now: number): Reachability {
  if (outcome === "ready") return { health: WELL, reachable: true };
  if (outcome === "refused") {
    const refusals = health.refusals + 1;
    return { health: { refusals, unwellSince: null }, reachable: refusals < REFUSALS_TO_UNREACHABLE };
  }
  const unwellSince = health.unwellSince ?? now;
  return { health: { refusals: 0, unwellSince }, reachable: now - unwellSince <= SILENCE_TO_UNREACHABLE_MS };
}
