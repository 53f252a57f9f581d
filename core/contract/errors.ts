/**
 * Every failure Sluice can answer with, one row each: code → HTTP status, words and hint.
 *
 * Codes are an interface: never renamed, never reused. A message may name a model, a limit or a setting; it never carries
 * note text, tokens or keys (promise 9).
 */

interface ErrorRow {
  readonly status: number;
  /** Default hint: what the reader can do. A thrower may pass a better one. */
  readonly hint?: string;
}

export const ERRORS = {
  // The request itself
  BAD_REQUEST: { status: 400, hint: "Check how the client builds its HTTP request." },
  BAD_PATH: { status: 400, hint: "Send the plain path, without dot segments, empty segments or encoded slashes." },
  INVALID_PREFER: { status: 400, hint: "Use 'Prefer: wait=<seconds>' or 'Prefer: respond-async'." },
  INVALID_HEADER: { status: 400 },
  INVALID_PARAMETER: { status: 422 },
  INVALID_TRACKING_ID: {
    status: 400,
    hint: "Use a letter or digit, then up to 255 letters, digits, underscores or hyphens.",
  },
  NOT_FOUND: { status: 404 },
  METHOD_NOT_ALLOWED: { status: 405 },
  LENGTH_REQUIRED: { status: 411, hint: "Send Content-Length, or the size in Upload-Length." },
  BODY_TIMEOUT: { status: 408, hint: "The request body stopped arriving; send it again." },
  BODY_CUT_SHORT: { status: 400, hint: "The connection ended before the whole body had arrived; nothing was stored." },
  BODY_TOO_LARGE: { status: 413, hint: "Split the request, or raise proxy.max_body_size." },
  HEADERS_TOO_LARGE: { status: 431, hint: "Send fewer or shorter headers; cookies are the usual cause." },
  HEADER_TIMEOUT: { status: 408, hint: "The request's headers did not arrive in time." },
  CLIENT_GONE: { status: 499 },

  // Models and their servers
  MODEL_UNKNOWN: { status: 404, hint: "GET /models lists the models there are." },
  MODEL_UNAVAILABLE: { status: 503 },
  MODEL_NOT_READY: { status: 503, hint: "Try again after the time named in Retry-After." },
  MODEL_START_FAILED: { status: 503, hint: "Ask an operator to look at the model server's log." },
  MODEL_NAME_INVALID: {
    status: 400,
    hint: "Use a letter or digit, then up to 254 letters, digits, underscores, dots or hyphens.",
  },
  MODEL_ALREADY_RUNNING: { status: 409, hint: "Remove it first, or take another name." },
  MODEL_IN_USE: { status: 409, hint: "Try again when its requests, tasks and trainings have ended, or cancel them." },
  MODEL_NOT_MANAGED: { status: 409, hint: "Sluice starts and stops only what it was asked to run itself." },
  REFERENCE_MISSING: { status: 400, hint: "Name a model_uri, or the tracking_id of a run that has one." },
  REFERENCE_UNKNOWN: {
    status: 404,
    hint: "Look the run or the URI up in MLflow; tracking.uri names the server asked.",
  },
  TRACKING_UNAVAILABLE: {
    status: 503,
    hint: "Try again later, or name a model_uri in place of the run; tracking.uri names the MLflow server asked.",
  },
  TTL_FORBIDDEN: { status: 403, hint: "Leave ttl out; models.deployment.manual.allow_ttl_override decides." },
  TTL_TOO_LONG: { status: 400, hint: "Take a shorter ttl, or -1; models.deployment.manual.max_ttl is the limit." },
  DEPLOY_FAILED: { status: 500, hint: "An operator finds the cause in the sidecar's log." },
  DOCKER_UNAVAILABLE: { status: 503, hint: "Try again; an operator looks whether the Docker daemon runs." },
  LOGS_FORBIDDEN: { status: 403, hint: "Operators read them with 'sluice models logs' on the machine itself." },
  ON_DEMAND_UNKNOWN: { status: 404, hint: "GET /admin/on-demand lists the configurations there are." },
  ON_DEMAND_EXISTS: { status: 409, hint: "Update it, or leave replace_enabled at true." },
  UPSTREAM_REFUSED: { status: 502, hint: "The model server is not listening; it may be starting or stopped." },
  UPSTREAM_CUT: { status: 502, hint: "The model server ended the connection before it had answered." },
  UPSTREAM_PROTOCOL: { status: 502, hint: "What the model server sent is not valid HTTP." },
  UPSTREAM_TIMEOUT: { status: 504, hint: "The model server was silent too long; see proxy.timeouts." },

  // Tasks
  TASK_NOT_FOUND: { status: 404 },
  TASK_TYPE_UNKNOWN: { status: 404 },
  TASK_LIST_FORBIDDEN: { status: 403, hint: "Operators list tasks with 'sluice tasks list' on the machine itself." },
  CONTENT_TYPE_MISSING: { status: 422 },
  CONTENT_TYPE_WRONG: { status: 400 },
  IDEMPOTENCY_KEY_REUSED: { status: 422, hint: "Use a new Idempotency-Key for a different request." },
  TASK_CANCELLED: { status: 409, hint: "Submit it again if it is still wanted." },
  TASK_EXPIRED: {
    status: 504,
    hint: "Its deadline passed while it waited; raise X-Sluice-Deadline or submit it later.",
  },
  TASK_LOST: { status: 502, hint: "The model server went away during the run; submit it again if that is safe." },
  TASK_ALREADY_FINAL: { status: 409 },
  TASK_NOT_CANCELLABLE: { status: 409, hint: "A call that is already running on the model server goes on to its end." },
  RESULT_DAMAGED: { status: 500, hint: "The stored result does not match its hash; run the task again." },
  RANGE_NOT_SATISFIABLE: { status: 416, hint: "Ask for bytes within the size that Content-Range names." },
  QUEUE_FULL: { status: 429, hint: "Try again after the time named in Retry-After." },

  // The model registry
  REGISTRY_ID_INVALID: {
    status: 400,
    hint: "Use 1 to 255 bytes without slashes or control characters, other than '.' and '..'.",
  },
  REGISTRY_MODEL_UNKNOWN: { status: 404, hint: "GET /registry/models lists the models there are." },
  REGISTRY_VERSION_UNKNOWN: { status: 404, hint: "GET /registry/models/<model>/versions lists those there are." },
  REGISTRY_ALIAS_UNKNOWN: { status: 404, hint: "GET /registry/models/<model>/aliases lists those there are." },
  REGISTRY_ALIAS_INVALID: {
    status: 400,
    hint: "Use a letter, then up to 127 letters, digits, underscores, dots or hyphens, other than 'latest'.",
  },
  REGISTRY_UPLOAD_UNKNOWN: { status: 404, hint: "It may have ended or expired; begin a new one." },
  REGISTRY_UPLOAD_CONFLICT: { status: 409, hint: "Ask with HEAD how many bytes are there, and go on from those." },
  REGISTRY_IN_USE: { status: 409, hint: "Remove what is deployed from it first, or force it." },
  REGISTRY_BUSY: { status: 503, hint: "Try again in a moment; as many as may go on at a time do." },
  VERSION_REJECTED: { status: 400 },
  VERSION_TOO_LARGE: { status: 413, hint: "registry.max_version_size is the limit." },
  VERSION_DAMAGED: { status: 500, hint: "'sluice registry verify' lists what is damaged; restore it from a backup." },
  VERSION_NUMBER_USED: { status: 409, hint: "Numbers are never used twice; import it into another model." },
  VERSION_TRANSIENT: { status: 409, hint: "Only archived versions can be deployed; upload it as an archived one." },

  // Sluice itself
  DISK_FULL: { status: 507, hint: "Free space on the data folder's disk; nothing needs a restart." },
  STORE_FAILED: { status: 503, hint: "Try again; an operator finds the cause in the sidecar's log." },
  SIDECAR_UNAVAILABLE: { status: 503, hint: "Light requests still flow; try again in a moment." },
  SHUTTING_DOWN: { status: 503, hint: "Sluice is stopping; try again in a moment." },
  CONFIG_INVALID: { status: 500 },
  INTERNAL: { status: 500, hint: "This is a fault in Sluice; report it with the request id." },
} as const satisfies Record<string, ErrorRow>;

export type ErrorCode = keyof typeof ERRORS;

export interface SluiceErrorOptions {
  readonly cause?: unknown;
  readonly hint?: string;
  /** Sent as Retry-After, rounded up to whole seconds. */
  readonly retryAfterMs?: number;
  /** Stands in `detail` in place of the message, for clients that expect a list there (CMG's 422). */
  readonly detail?: unknown;
}

/** Whatever is thrown across a module's edge. Match on `code`. */
export class SluiceError extends Error {
  readonly code: ErrorCode;
  readonly status: number;
  readonly hint: string | undefined;
  readonly retryAfterMs: number | undefined;
  readonly detail: unknown;

  constructor(code: ErrorCode, message: string, options: SluiceErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "SluiceError";
    this.code = code;
    const row: ErrorRow = ERRORS[code];
    this.status = row.status;
    this.hint = options.hint ?? row.hint;
    this.retryAfterMs = options.retryAfterMs;
    this.detail = options.detail;
  }
}

/** The body of every error of ours. `detail` repeats the message where CMG's and CMS's clients look for it. */
export interface ErrorEnvelope {
  readonly source: "sluice";
  readonly error: {
    readonly code: ErrorCode;
    readonly message: string;
    readonly hint?: string;
    readonly requestId?: string;
  };
  readonly detail: unknown;
}

export function errorEnvelope(error: SluiceError, requestId?: string): ErrorEnvelope {
  return {
    source: "sluice",
    error: {
      code: error.code,
      message: error.message,
      ...(error.hint === undefined ? {} : { hint: error.hint }),
      ...(requestId === undefined ? {} : { requestId }),
    },
    detail: error.detail ?? error.message,
  };
}

/** Turns anything caught into a SluiceError; what we did not foresee becomes INTERNAL, without its text (promise 9). */
export function asSluiceError(caught: unknown): SluiceError {
  if (caught instanceof SluiceError) return caught;
  if (isDiskFull(caught))
    return new SluiceError("DISK_FULL", "the data folder's disk is full", { cause: caught, retryAfterMs: 10_000 });
  if (isDiskFault(caught))
    return new SluiceError("STORE_FAILED", "the data folder cannot be read or written", {
      cause: caught,
      retryAfterMs: 5_000,
    });
  return new SluiceError("INTERNAL", "an unexpected fault", { cause: caught });
}

/** True for a full disk or quota, as the operating system or SQLite says it. */
export function isDiskFull(caught: unknown): boolean {
  const code = (caught as { code?: unknown } | null)?.code;
  return code === "ENOSPC" || code === "EDQUOT" || code === "SQLITE_FULL";
}

/** True for a disk that fails, as the operating system or SQLite says it. */
function isDiskFault(caught: unknown): boolean {
  const code = String((caught as { code?: unknown } | null)?.code);
  return code === "EIO" || code === "EROFS" || code.startsWith("SQLITE_");
}
