/**
 * What a task is, which states it has and which moves between them are allowed. Both sides of the wire agree on this file.
 */

/** The five states clients of CogStack Model Gateway know. */
export const TASK_STATUSES = ["pending", "scheduled", "running", "succeeded", "failed"] as const;
export type TaskStatus = (typeof TASK_STATUSES)[number];

/**
 * The allowed moves, and nothing else: the store puts the left side into the SQL `WHERE` of every update.
 * `scheduled → pending` is a retry or a busy trainer; `running → pending` a training proven not accepted.
 */
export const TASK_MOVES = {
  pending: ["scheduled", "failed"],
  scheduled: ["running", "succeeded", "failed", "pending"],
  running: ["succeeded", "failed", "pending"],
  succeeded: [],
  failed: [],
} as const satisfies Record<TaskStatus, readonly TaskStatus[]>;

export function isFinal(status: TaskStatus): boolean {
  return TASK_MOVES[status].length === 0;
}

/** The states a task may be in for a move to `to`. */
export function statesBefore(to: TaskStatus): TaskStatus[] {
  return TASK_STATUSES.filter((from) => (TASK_MOVES[from] as readonly TaskStatus[]).includes(to));
}

/** Why a task is `failed`. */
export const FAILURE_REASONS = [
  "cancelled",
  "expired",
  "lost",
  "rejected",
  "upstream_error",
  "model_unavailable",
  "internal",
] as const;
export type FailureReason = (typeof FAILURE_REASONS)[number];

/** Raw header pairs as on the wire: name, value, name, value, …; Latin-1 text, order and case kept. */
export type RawHeaders = readonly string[];

/**
 * How the caller wants its answer.
 * - `held`: the connection waits for the model server's own answer
 * - `wait`: the same for `waitMs`, then 202
 * - `async`: 202 at once
 * - `task`: CMG's way, 200 with the uuid at once
 */
export type AnswerMode = "held" | "wait" | "async" | "task";

/** What the proxy tells the sidecar about a heavy request; its body follows as it came. */
export interface Submission {
  /** Chosen by the proxy, so that it can ask again after a sidecar died between commit and answer. */
  readonly uuid: string;
  readonly model: string;
  /** The route's name: `process_bulk`, `train_supervised`, … */
  readonly task: string;
  readonly method: string;
  /** Path and query for the model server, as the client sent them. */
  readonly path: string;
  /** End-to-end request headers for the model server (hop-by-hop ones and our own already removed). */
  readonly headers: RawHeaders;
  readonly class: string;
  /** 0 (most urgent) to 9, or null for the class's own. */
  readonly priority: number | null;
  readonly tenant: string | null;
  /** How long the task may wait, or null for the class's own. */
  readonly deadlineMs: number | null;
  readonly mode: AnswerMode;
  readonly requestId: string;
  /** `ip=<peer>; ua=<user agent>`, CMG's form. */
  readonly source: string;
  readonly idempotencyKey: string | null;
  /** URL that is told of the task's end, or null for the configured one. May hold a token in its query: never logged. */
  readonly callback: string | null;
  /** True where the task's id must reach the model server as `tracking_id` even if the client sent one (CMG's way). */
  readonly forceTrackingId: boolean;
}

/** The answer to a submission: the task is durable. */
export interface Submitted {
  readonly uuid: string;
  readonly status: TaskStatus;
  /** True when an Idempotency-Key met a task that was there already. */
  readonly replayed: boolean;
}

/** `GET /tasks/<id>?detail=true`: CMG's eleven keys first, then ours. Times are UTC ISO 8601 with microseconds. */
export interface TaskDetail {
  readonly uuid: string;
  readonly status: TaskStatus;
  readonly model: string;
  readonly type: string;
  readonly source: string;
  readonly created_at: string;
  readonly started_at: string | null;
  readonly finished_at: string | null;
  /** Name of the stored result, null unless succeeded. */
  readonly result: string | null;
  readonly error_message: string | null;
  /** MLflow run id from a 202 answer. */
  readonly tracking_id: string | null;
  readonly reason: FailureReason | null;
  readonly class: string;
  readonly priority: number;
  readonly tenant: string | null;
  readonly attempts: number;
  readonly deadline_at: string | null;
  /** Status of the model server's answer, null where there was none. */
  readonly result_status: number | null;
  readonly result_bytes: number | null;
  readonly result_sha256: string | null;
  readonly request_id: string;
  /** Only while it waits: as in {@link TaskEvent}, and the time before which it is not started (a retry), or null. */
  readonly position?: number | null;
  readonly eta_seconds?: number | null;
  readonly not_before?: string | null;
  /** Whether the task's end was told to its callback; null where it has none. Absent in lists. */
  readonly callback?: CallbackView | null;
  /** Where one task was asked for: what became of each attempt, oldest first, the newest {@link HISTORY_SHOWN}. */
  readonly attempt_history?: readonly AttemptDetail[];
}

export const HISTORY_SHOWN = 100;

/** One attempt, or an answer of one that came too late (`refused`). */
export interface AttemptDetail {
  readonly attempt: number;
  readonly started_at: string | null;
  /** Null while it runs. */
  readonly ended_at: string | null;
  /** `succeeded`, a failure's reason, `requeued`, `refused`; null while it runs. */
  readonly outcome: string | null;
  /** Why, in words. */
  readonly note: string | null;
}

export interface CallbackView {
  /** `pending` until it was delivered, or given up (`failed`). */
  readonly state: "pending" | "delivered" | "failed";
  /** How often it was sent. */
  readonly attempts: number;
}

/** One event on `GET /tasks/<id>/events`: `event: status`. */
export interface TaskEvent {
  readonly uuid: string;
  readonly status: TaskStatus;
  /** Tasks that go before this one in its lane, null once it no longer waits. */
  readonly position: number | null;
  /** Seconds until it starts, about; null when nothing is known yet. */
  readonly eta_seconds: number | null;
  readonly reason: FailureReason | null;
}

/** What a waiting task can wait for. */
export const WAIT_CODES = [
  "model_unknown",
  "model_away",
  "model_starting",
  "draining",
  "not_before",
  "redis",
  "class_budget",
  "rate_limit",
  "ahead",
  "training_slot",
  "model_slot",
  "global_slot",
] as const;
export type WaitCode = (typeof WAIT_CODES)[number];

export interface WaitingFor {
  /** A noun: `a slot of model 'm'`. */
  readonly what: string;
  readonly code: WaitCode;
  /** When it is over, about; null when nothing is known. */
  readonly until: string | null;
  /** A sentence. */
  readonly message: string;
}

/** `GET /tasks/<id>/why`. */
export interface TaskWhy {
  readonly uuid: string;
  readonly status: TaskStatus;
  /** The weightiest first; empty for a task that does not wait, or is about to start. */
  readonly waiting_for: readonly WaitingFor[];
  /** As in {@link TaskEvent}. */
  readonly position: number | null;
  readonly eta_seconds: number | null;
  /** One sentence for a person. */
  readonly summary: string;
}

const LAST_DATE_MS = 253_402_300_799_000;

/** CMG's time format: UTC with microseconds and `+00:00`; the fraction is missing when it is zero. */
export function wireTime(epochMs: number): string {
  // No date lies beyond it: one stored by mistake must not break every listing.
  const iso = new Date(Math.min(epochMs, LAST_DATE_MS)).toISOString();
  const [whole, fraction] = [iso.slice(0, 19), iso.slice(20, 23)];
  return fraction === "000" ? `${whole}+00:00` : `${whole}.${fraction}000+00:00`;
}
