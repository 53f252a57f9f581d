/**
 * Where tasks live. The interface names no database: SQLite implements it today (`sidecar/db/`), PostgreSQL can tomorrow.
 *
 * Every writing call resolves only when the change is durable. Every move is a compare-and-set on status and fence: it answers
 * false (or null) when the task has moved on, and the caller then lets go. That is how a late answer from an older attempt is refused.
 */
import type { AnswerMode, FailureReason, RawHeaders, TaskStatus } from "../../core/contract/tasks.js";

/** Bytes of a request or an answer: in the row up to 64 KiB, else a file in the blob store. */
export type StoredBody =
  | { readonly kind: "inline"; readonly bytes: Buffer; readonly sha256: string }
  | { readonly kind: "blob"; readonly key: string; readonly size: number; readonly sha256: string };

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

export interface TaskRow extends Omit<NewTask, "payload" | "callback"> {
  readonly status: TaskStatus;
  readonly reason: FailureReason | null;
  /** Fence: grows by one with every claim. An attempt may only write while its number is still the row's. */
  readonly attempt: number;
  /** Not claimed before this epoch time (retry, busy trainer). */
  readonly notBeforeMs: number;
  readonly startedAtMs: number | null;
  readonly finishedAtMs: number | null;
  readonly errorMessage: string | null;
  /** MLflow run id from a 202 answer. */
  readonly trackingId: string | null;
  readonly answer: TaskAnswer | null;
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

/** One group of waiting tasks, as the dispatcher plans by it. */
export interface LaneBacklog extends Lane {
  readonly priority: number;
  /** Tasks that may start now. */
  readonly due: number;
  /** Earliest epoch time at which another one becomes due, or null. */
  readonly nextDueMs: number | null;
}

export interface AttemptRecord {
  readonly attempt: number;
  readonly startedAtMs: number | null;
  readonly endedAtMs: number | null;
  /** `succeeded`, a failure's reason, `requeued`, `refused` (came too late), or null while it runs. */
  readonly outcome: string | null;
}

export interface TaskFilter {
  readonly model?: string;
  readonly status?: TaskStatus;
  readonly class?: string;
  readonly tenant?: string;
  /** 1..1_000. */
  readonly limit: number;
  /** Opaque, from a former page. */
  readonly after?: string;
}

export interface TaskStore {
  /**
   * Writes a new task. With an idempotency key (scoped to tenant, model and task) that is there already, nothing is written and the
   * older task comes back.
   * @throws IDEMPOTENCY_KEY_REUSED when that older task had another body or path; QUEUE_FULL; DISK_FULL; STORE_FAILED
   */
  insert(task: NewTask): Promise<{ task: TaskRow; replayed: boolean }>;

  /** A point read; sees everything committed. */
  get(uuid: string): TaskRow | null;
  list(filter: TaskFilter): { tasks: TaskRow[]; next: string | null };
  /** Waiting tasks that would be claimed before this one in its lane; null when it does not wait. */
  position(uuid: string): number | null;
  /** What waits, by lane and priority. */
  backlog(nowMs: number): LaneBacklog[];
  countWaiting(): { tasks: number; bytes: number };

  /**
   * Takes the best due task of these lanes (priority, then age): `pending → scheduled`, attempt + 1, started on the first claim.
   * @returns null when nothing in them may start now
   */
  claim(model: string, classes: readonly string[], nowMs: number): Promise<Claim | null>;
  /**
   * `scheduled → running`: a training was accepted with 202. The answer is kept for callers that hold the line (they get the model
   * server's 202 at once) until the run's result takes its place.
   */
  markRunning(uuid: string, attempt: number, trackingId: string | null, accepted: TaskAnswer): Promise<boolean>;
  /** Back to `pending`, not before a time. The note stands in error_message meanwhile. */
  requeue(uuid: string, attempt: number, notBeforeMs: number, note: string | null): Promise<boolean>;
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
  /** Tasks a crash left `scheduled` or `running`. Read once at start. */
  unfinished(): Claim[];
  /** What became of each attempt, oldest first; answers that came too late stand among them as `refused`. */
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

/** Files above 64 KiB: durable (fsync of file and folder) before the call that wrote them resolves. */
export interface BlobStore {
  /**
   * Streams bytes in, hashing on the way; small ones come back inline and touch no disk.
   * @param maxBytes above it: BODY_TOO_LARGE, nothing kept
   * What the source throws is passed on, and nothing is kept. The source stays its owner's to end.
   * @param idleTimeoutMs silence above it: BODY_TIMEOUT, nothing kept
   */
  write(
    kind: "payload" | "result",
    source: AsyncIterable<Buffer>,
    options: { maxBytes: number; idleTimeoutMs: number },
  ): Promise<StoredBody>;
  /**
   * Opens what was stored. With `verify` the hash is checked before the first byte is given out.
   * @throws RESULT_DAMAGED
   */
  open(body: StoredBody, options?: { verify?: boolean }): Promise<NodeJS.ReadableStream>;
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
