/** How long a run may be out of sight before it is lost. Pure: what was seen and when in, a verdict out. */

export interface FollowBounds {
  /** A run whose model server is gone, or which nobody knows, for so long is lost. */
  readonly lostAfterMs: number;
  /** A run that is not final so long after its start is lost; null: no limit. */
  readonly limitMs: number | null;
}

/** A server that is silent, or answers neither yes nor no (a token that ran out), is believed to be at work for this long. */
export const MUTED_AFTER_MS = 3_600_000;

/** What one look showed. */
export interface Glimpse {
  /** Somebody knows the run, and it is not final. */
  readonly isSeen: boolean;
  /** `unasked` where the tracker told of the run and nothing speaks against the server. */
  readonly server: "unasked" | "there" | "unknown" | "silent" | "away";
  /** The server that had the run has ended since, whatever answers in its place now. */
  readonly isDead: boolean;
  /** MLflow answered before and is away now: a model server's "no such run" may only mean that it cannot ask MLflow either. */
  readonly isTrackerAway: boolean;
}

/** `gone`: the run cannot be there any more. `muted`: nobody would tell. */
export type Doubt = "gone" | "muted";

export function decideDoubt({ isSeen, server, isDead, isTrackerAway }: Glimpse): Doubt | null {
  // Training blocks a server's event loop (reference cms-api 5.2): silence is work, a refused connection is not.
  if (isDead || server === "away") return "gone";
  if (isSeen) return null;
  if (server === "unknown" && !isTrackerAway) return "gone";
  return "muted";
}

export interface Patience {
  /** Since when the doubt has lasted, in elapsed ms. */
  readonly goneSinceMs: number | null;
  readonly doubtSinceMs: number | null;
}

export const CALM: Patience = { goneSinceMs: null, doubtSinceMs: null };

export function remember(patience: Patience, doubt: Doubt | null, nowMs: number): Patience {
  return {
    goneSinceMs: doubt === "gone" ? (patience.goneSinceMs ?? nowMs) : null,
    doubtSinceMs: doubt === null ? null : (patience.doubtSinceMs ?? nowMs),
  };
}

/** @returns why it is given up, in words, or null */
export function decideLoss({ goneSinceMs, doubtSinceMs }: Patience, nowMs: number, lostAfterMs: number): string | null {
  if (goneSinceMs !== null && nowMs - goneSinceMs >= lostAfterMs) {
    return `its model server was gone for ${lostAfterMs / 1_000} s, or does not know the run any more`;
  }
  if (doubtSinceMs !== null && nowMs - doubtSinceMs >= Math.max(MUTED_AFTER_MS, lostAfterMs)) {
    return `nobody told of the run for ${MUTED_AFTER_MS / 60_000} minutes`;
  }
  return null;
}
