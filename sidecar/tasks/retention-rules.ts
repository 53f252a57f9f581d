/** Which final tasks may go. Pure: the writer's thread asks for each, oldest first. */

/** A result may still be on its way to whoever waited for it: size alone removes nothing younger. */
export const GRACE_MS = 60_000;

export interface RemovalLimits {
  /** Tasks that ended at or before this epoch time go; null: none for their age. */
  readonly endedBeforeMs: number | null;
  /** While the answers hold more bytes, the oldest go; null: no limit. */
  readonly maxBytes: number | null;
  /** Only those that ended at or before this epoch time go for their size. */
  readonly graceBeforeMs: number;
}

/** The last task looked at. */
export interface RemovalCursor {
  readonly finishedAtMs: number;
  readonly seq: number;
}

export interface Removal {
  readonly tasks: number;
  readonly bytes: number;
  /** Files no row names any more. */
  readonly releasedKeys: readonly string[];
  /** Where to go on; null when nothing further may go. */
  readonly next: RemovalCursor | null;
}

export function removalLimits(
  settings: { retentionMs: number | null; maxBytes: number | null },
  nowMs: number,
): RemovalLimits {
  return {
    endedBeforeMs: settings.retentionMs === null ? null : nowMs - settings.retentionMs,
    maxBytes: settings.maxBytes,
    graceBeforeMs: nowMs - GRACE_MS,
  };
}

/** @param bytes what all answers hold now */
export function mayGo(finishedAtMs: number, bytes: number, limits: RemovalLimits): boolean {
  if (limits.endedBeforeMs !== null && finishedAtMs <= limits.endedBeforeMs) return true;
  return limits.maxBytes !== null && bytes > limits.maxBytes && finishedAtMs <= limits.graceBeforeMs;
}
