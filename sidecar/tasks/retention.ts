/**
 * Removes final tasks that are past their time, or that hold more bytes than there is room for. The only owner of that.
 *
 * Rows go in small batches between everybody else's commits; a batch's files go after the commit that let go of them. A crash in
 * between leaves files that no row names, and the sweep at start takes them. Freed pages stay in the database's file and are used
 * again: the file does not shrink, and does not grow while removals keep pace.
 */
import { asSluiceError } from "../../core/contract/errors.js";
import type { Clock } from "../../core/runtime/clock.js";
import { failpoint } from "../../core/runtime/failpoints.js";
import type { Logger } from "../../core/runtime/logger.js";
import type { Reserve } from "./reserve.js";
import { type Removal, type RemovalCursor, type RemovalLimits, removalLimits } from "./retention-rules.js";
import type { BlobStore } from "./store.js";
import type { RetentionStore } from "./upkeep-store.js";

/** Between looks; a look costs two point reads. */
const INTERVAL_MS = 10_000;
/** After a batch this many times as long as it took, so that the writer and the disk belong to everybody else most of the time. */
const PAUSE_SHARE = 2;
const LEAST_PAUSE_MS = 10;
const LONGEST_PAUSE_MS = 200;

export interface RetentionOptions {
  readonly store: RetentionStore;
  readonly blobs: Pick<BlobStore, "remove">;
  /** What a removal on a full disk finds its room in. */
  readonly reserve: Reserve;
  /** Asked before every look: a reload takes effect at once. */
  readonly settings: () => { retentionMs: number | null; maxBytes: number | null };
  readonly clock: Clock;
  readonly logger: Logger;
  /** Told how many tasks each batch removed. */
  readonly observer: { removed(tasks: number): void };
}

export interface Retention {
  /** Ends after the batch that is under way. */
  stop(): Promise<void>;
}

export function startRetention(options: RetentionOptions): Retention {
  const { clock, logger, reserve } = options;
  const stopping = new AbortController();
  const { signal } = stopping;

  async function run(): Promise<void> {
    for (; !signal.aborted; await clock.sleep(INTERVAL_MS, signal)) {
      try {
        const tasks = await removeOnFullDisk(options, signal);
        await reserve.fill();
        if (tasks > 0) logger.info({ event: "tasks_removed", count: tasks }, "removed tasks that were past their time");
      } catch (caught) {
        logger.warn({ event: "retention_failed", err: asSluiceError(caught) }, "old tasks stay for now; trying again");
      }
    }
  }

  const running = run();
  return {
    stop() {
      stopping.abort();
      return running;
    },
  };
}

/** Like {@link removeDue}; a full disk gets the reserve's room, and one more try. */
export async function removeOnFullDisk(options: RetentionOptions, signal: AbortSignal): Promise<number> {
  try {
    return await removeDue(options, signal);
  } catch (caught) {
    if (asSluiceError(caught).code !== "DISK_FULL" || !(await options.reserve.release())) throw caught;
    options.logger.warn(
      { event: "reserve_released" },
      "the disk is full: removing old tasks with the room kept for that",
    );
    return await removeDue(options, signal);
  }
}

/**
 * One look, to its end or the signal's.
 * @returns how many tasks were removed
 * @throws DISK_FULL, STORE_FAILED; what earlier batches removed stays removed
 */
export async function removeDue(options: RetentionOptions, signal: AbortSignal): Promise<number> {
  const { store, clock, observer } = options;
  const limits = removalLimits(options.settings(), clock.now());
  if (!isAnythingDue(store, limits)) return 0;
  let tasks = 0;
  for (let after: RemovalCursor | null = null; !signal.aborted; ) {
    const beganMs = clock.elapsed();
    const removal: Removal = await store.remove(limits, after);
    failpoint("retention.after_commit");
    tasks += removal.tasks;
    observer.removed(removal.tasks);
    await removeFiles(options, removal.releasedKeys);
    if (removal.next === null) break;
    after = removal.next;
    await clock.sleep(pauseAfter(clock.elapsed() - beganMs), signal);
  }
  return tasks;
}

function pauseAfter(batchMs: number): number {
  return Math.min(Math.max(LEAST_PAUSE_MS, PAUSE_SHARE * batchMs), LONGEST_PAUSE_MS);
}

function isAnythingDue(store: RetentionStore, { endedBeforeMs, maxBytes }: RemovalLimits): boolean {
  if (maxBytes !== null && store.totals().bytes > maxBytes) return true;
  const oldestMs = endedBeforeMs === null ? null : store.oldestFinishedAtMs();
  return oldestMs !== null && oldestMs <= endedBeforeMs!;
}

async function removeFiles({ blobs, logger }: RetentionOptions, keys: readonly string[]): Promise<void> {
  for (const key of keys) {
    failpoint("retention.before_unlink");
    // A file that cannot be removed now is removed by the next start's sweep.
    await blobs.remove(key).catch((caught: unknown) => {
      logger.warn({ event: "blob_not_removed", err: asSluiceError(caught) }, "a removed task's file is still there");
    });
  }
}
