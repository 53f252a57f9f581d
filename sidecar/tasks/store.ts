/**
 * Where tasks live. The interface names no database: SQLite implements it today (`sqlite-store.ts`), PostgreSQL can tomorrow.
 *
 * Every writing call resolves only when the change is durable. Every move is a compare-and-set on status and fence: it answers
 * false (or null) when the task has moved on, and the caller then lets go. That is how a late answer from an older attempt is refused.
 */
import type { AnswerMode, FailureReason, RawHeaders, TaskStatus } from "../../core/contract/tasks.js";

/** Bytes of a request or an answer: in the row up to 64 KiB, else a file in the blob store. */
export type StoredBody =
  | { readonly kind: "inline"; readonly bytes: Buffer; readonly sha256: string }
  | { readonly kind: "blob"; readonly key: string; readonly size: number; readonly sha256: string };

/**
 * Longest a task is put back for (a `Retry-After` may ask for that much). A `notBeforeMs` further ahead was written before somebody set
 * the machine's clock back, and counts as passed: else a pause of seconds would last as long as the clock was wrong.
 */
export const LONGEST_PAUSE_MS = 600_000;

export function sizeOf(body: StoredBody): number {
  return body.kind === "inline" ? body.bytes.byteLength : body.size;
}

export interface NewTask {
  readonly uuid: string;
  readonly model: string;
  readonly task: string;
  readonly method: string;
  readonly path: string;
  readonly headers: RawHeaders;
  readonly class: string;
  readonly priority: number;
  readonly tenant: string | null;
  readonly mode: AnswerMode;
  readonly source: string;
  readonly requestId: string;
  readonly forceTrackingId: boolean;
  readonly createdAtMs: number;
  /** Epoch time after which it is no longer started, or null. */
  readonly deadlineAtMs: number | null;
  readonly idempotencyKey: string | null;
  /** URL that is told of its end, or null. */
  readonly callback: string | null;
  readonly payload: StoredBody;
}

export interface TaskRow extends Omit<NewTask, "payload" | "callback" | "headers"> {
  /** Null when what is stored of them is damaged: such a task is not sent. */
  readonly headers: RawHeaders | null;
  readonly status: TaskStatus;
  readonly reason: FailureReason | null;
  /** Fence: grows by one with every claim. An attempt may only write while its number is still the row's. */
  readonly attempt: number;
  /** Not claimed before this epoch time (retry, busy trainer); at most {@link LONGEST_PAUSE_MS} ahead. */
  readonly notBeforeMs: number;
  readonly startedAtMs: number | null;
  readonly finishedAtMs: number | null;
  readonly errorMessage: string | null;
  /** MLflow run id from a 202 answer. */
  readonly trackingId: string | null;
  readonly answer: TaskAnswer | null;
  /** Epoch time at which somebody asked for its running training to be cancelled, or null. */
  readonly cancelAskedAtMs: number | null;
}

/** The answer as it came from the model server (or as Sluice gives it for a task that failed without one). */
export interface TaskAnswer {
  readonly status: number;
  readonly headers: RawHeaders;
  readonly body: StoredBody;
  readonly upstreamMs: number;
}

export interface Claim {
  readonly task: TaskRow;
  readonly payload: StoredBody;
}

/** How a task ends. `answer` may come with a failure too: the model server's own 4xx is replayed to a held caller. */
export interface Outcome {
  readonly status: "succeeded" | "failed";
  readonly reason: FailureReason | null;
  readonly errorMessage: string | null;
  readonly answer: TaskAnswer | null;
  readonly finishedAtMs: number;
}

export interface Lane {
  readonly model: string;
  readonly class: string;
}

/** What orders the waiting beside their priorities. */
export interface OrderSettings {
  /** A line gains a rank for every so long its oldest task has waited. */
  readonly ageingMs: number;
  /** A tenant's share of its line, above 0; 1 unless configured. */
  readonly weightOf: (tenant: string | null) => number;
}

/** One group of waiting tasks, as the dispatcher plans by it. */
export interface LaneBacklog extends Lane {
  readonly priority: number;
  /** Tasks that may start now. */
  readonly due: number;
  /** Earliest epoch time at which another one becomes due, or null. */
  readonly nextDueMs: number | null;
  /** Epoch time at which the oldest of those that may start now was created; null when none may. */
  readonly oldestMs: number | null;
}

export interface AttemptRecord {
  readonly attempt: number;
  readonly startedAtMs: number | null;
  readonly endedAtMs: number | null;
  /** `succeeded`, a failure's reason, `requeued`, `refused` (came too late), or null while it runs. */
  readonly outcome: string | null;
  /** Of a `requeued` one: what sent it back. */
  readonly cause: RequeueCause | null;
  /** Why it ended like that, in words for the caller whose task it is, at most {@link MAX_NOTE_CHARS}; null when all went well. */
  readonly note: string | null;
}

/** What sends a task back to waiting; each is counted for itself. */
export type RequeueCause =
  | "busy"
  | "too_many"
  | "refused"
  | "cut"
  | "bad_gateway"
  | "timeout"
  | "not_ready"
  | "interrupted"
  | "fault";

export interface Requeue {
  readonly cause: RequeueCause;
  readonly note: string;
}

/** Longest note of an attempt; a task's own error may be longer. */
export const MAX_NOTE_CHARS = 500;
/** Attempts kept per task: a trainer that stays busy for months must not fill the disk. */
export const MAX_ATTEMPTS_KEPT = 1_000;

export interface TaskFilter {
  readonly model?: string;
  readonly status?: TaskStatus;
  readonly class?: string;
  readonly tenant?: string;
  /** The route's name: `process_bulk`. */
  readonly task?: string;
  readonly reason?: FailureReason;
  /** Created at this epoch time or later. */
  readonly sinceMs?: number;
  /** Created before this epoch time. */
  readonly untilMs?: number;
  /** 1..1_000. */
  readonly limit: number;
  /** Opaque, from a former page. */
  readonly after?: string;
}

/** `under-way`: a task was sent to it, or may have been, an accepted training among them; `waiting`: tasks wait for it, none is under way. */
export type ModelNeed = "under-way" | "waiting" | null;

export interface TaskStore {
  /**
   * Writes a new task. With an idempotency key (scoped to tenant, model and task) that is there already, nothing is written and the
   * older task comes back.
   * @throws IDEMPOTENCY_KEY_REUSED when that older task had another body or path; QUEUE_FULL; DISK_FULL; STORE_FAILED
   */
  insert(task: NewTask): Promise<{ task: TaskRow; replayed: boolean }>;

  /** A point read; sees everything committed. */
  get(uuid: string): TaskRow | null;
  /** Newest first. A page may come back short, even empty, with a `next` to go on from. */
  list(filter: TaskFilter): { tasks: TaskRow[]; next: string | null };
  /** Waiting tasks of its lane that would be claimed before this one, ageing apart; null when it does not wait. */
  position(uuid: string): number | null;
  /** What waits, by lane and priority. */
  backlog(nowMs: number): LaneBacklog[];
  countWaiting(): { tasks: number; bytes: number };

  /**
   * Takes the best due task of these lanes (`scheduler/order.ts`: rank, then fair share, then age): `pending → scheduled`,
   * attempt + 1, started on the first claim.
   * @returns null when nothing in them may start now
   */
  claim(model: string, classes: readonly string[], nowMs: number): Promise<Claim | null>;
  /**
   * `scheduled → running`: a training was accepted with 202. The answer is kept for callers that hold the line (they get the model
   * server's 202 at once) until the run's result takes its place.
   */
  markRunning(uuid: string, attempt: number, trackingId: string | null, accepted: TaskAnswer): Promise<boolean>;
  /**
   * Remembers that the cancellation of a running training was asked for, or, with null, that it was not to be had after all.
   * @returns false when this attempt does not run any more
   */
  markCancelAsked(uuid: string, attempt: number, askedAtMs: number | null): Promise<boolean>;
  /** Back to `pending`, not before a time. The note stands in error_message meanwhile, and stays with the attempt. */
  requeue(uuid: string, attempt: number, notBeforeMs: number, why: Requeue | null): Promise<boolean>;
  /**
   * To a final state. The payload goes with it.
   * @returns false when an older attempt came too late; that is recorded, and its answer's blob is removed
   */
  finish(uuid: string, attempt: number, outcome: Outcome): Promise<boolean>;
  /** `pending → failed` (cancelled or expired). False when it no longer waits. */
  failWaiting(uuid: string, outcome: Outcome): Promise<boolean>;
  /** Fails every waiting task whose deadline has passed. @returns their uuids */
  expire(nowMs: number): Promise<string[]>;
  /** Epoch time of the next deadline among waiting tasks, or null. */
  nextDeadlineMs(): number | null;
  /** What of a model's tasks is not final. A point read; sees everything committed. */
  needOf(model: string): ModelNeed;
  /** Tasks a crash left `scheduled` or `running`. Read once at start. */
  unfinished(): Claim[];
  /** What became of each attempt, oldest first, the newest {@link MAX_ATTEMPTS_KEPT}; answers that came too late stand among them as `refused`. */
  attempts(uuid: string): AttemptRecord[];
  /** How many tasks are not final yet, by class and status. */
  depths(): { class: string; status: TaskStatus; tasks: number }[];
  /** True while a task needs this blob. */
  namesBlob(key: string): boolean;
  /** Makes one real write durable: what the health check asks. @throws DISK_FULL, STORE_FAILED */
  probe(): Promise<void>;

  /** Called after each commit that changed a task. The answer unsubscribes. */
  onChange(listener: (task: TaskRow) => void): () => void;
  close(): Promise<void>;
}

export interface OpenOptions {
  /**
   * Checks the hash of the whole before the first byte is given out. For a part, a check of the last ten minutes counts when nobody has
   * touched the file since. Default false.
   */
  readonly verify?: boolean;
  /** First and last byte, both included and within the body. Default: all of it. */
  readonly range?: { readonly start: number; readonly end: number };
}

/** How long a full disk is waited for. */
export interface Patience {
  readonly forMs: number;
  /** Ends the wait with DISK_FULL. */
  readonly signal: AbortSignal;
}

/** Files above 64 KiB: durable (fsync of file and folder) before the call that wrote them resolves. */
export interface BlobStore {
  /**
   * Streams bytes in, hashing on the way; small ones come back inline and touch no disk. What the source throws is passed on, and
   * nothing is kept; the source stays its owner's to end.
   * @param maxBytes above it: BODY_TOO_LARGE, nothing kept
   * @param idleTimeoutMs silence above it: BODY_TIMEOUT, nothing kept
   * @param whenFull what a full disk means for bytes that cannot be had again: the source waits until there is space. Default: DISK_FULL at once
   */
  write(
    kind: "payload" | "result",
    source: AsyncIterable<Buffer>,
    options: { maxBytes: number; idleTimeoutMs: number; whenFull?: Patience },
  ): Promise<StoredBody>;
  /**
   * Opens what was stored, or a part of it.
   * @throws RESULT_DAMAGED
   */
  open(body: StoredBody, options?: OpenOptions): Promise<NodeJS.ReadableStream>;
  /**
   * A stored answer's bytes once more, under a name of their own, checked against their hash on the way.
   * @throws RESULT_DAMAGED
   */
  duplicate(body: StoredBody): Promise<StoredBody>;
  /** Harmless when it is gone already; whoever reads it reads on to its end. */
  remove(key: string): Promise<void>;
  /** Makes one small file durable and removes it: what the health check asks. */
  probe(kind: "payload" | "result"): Promise<void>;
  /** Removes temporary files and blobs that no row names. Run once at start. */
  sweep(isNamed: (key: string) => boolean): Promise<number>;
}

/** Stores bytes that are in memory already, as an answer's body. */
export function storeBytes(blobs: BlobStore, bytes: Buffer): Promise<StoredBody> {
  return blobs.write("result", once(bytes), { maxBytes: Number.POSITIVE_INFINITY, idleTimeoutMs: 60_000 });
}

async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}
