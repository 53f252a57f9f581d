/**
 * Which failures are tried again, for which routes, how often and when. One table, pure functions.
 *
 * The bounds are CMG's (reference cmg-api 2.3), without its nesting: each trouble is counted for itself, so that a trainer that was
 * busy ten times still gets its three tries when it cannot be reached. Training and whatever else cannot be repeated is sent again
 * only when it is proven not accepted (promise 3): the connection was refused, or the model server itself refused with 429 or "busy".
 */
import { TASK_TYPES } from "../../core/contract/routes.js";
import type { RequeueCause } from "../tasks/store.js";

/** How a call to a model server ended without a usable answer. */
export type CallFailure =
  /** No connection: nothing was sent. */
  | "refused"
  /** The connection ended before the whole answer had come. */
  | "cut"
  /** Silence beyond the configured bound. */
  | "timeout"
  /** What came was not HTTP. */
  | "protocol";

export type Trouble =
  | { readonly kind: "failure"; readonly failure: CallFailure; readonly sent: boolean }
  | { readonly kind: "status"; readonly status: number; readonly retryAfterMs: number | null }
  /** CMS's 503 with the ids of the run that is already active (reference cms-api 2.2). */
  | { readonly kind: "busy" };

interface RetryRule {
  /** Times in total, over all attempts; Infinity for "until it works or the deadline passes". */
  readonly times: number;
  readonly firstMs: number;
  readonly maxMs: number;
  /** True where the model server certainly did not take the call. */
  readonly notAccepted: boolean;
}

const RULES = {
  busy: { times: Number.POSITIVE_INFINITY, firstMs: 5_000, maxMs: 60_000, notAccepted: true },
  too_many: { times: 10, firstMs: 5_000, maxMs: 60_000, notAccepted: true },
  refused: { times: 3, firstMs: 2_000, maxMs: 2_000, notAccepted: true },
  cut: { times: 3, firstMs: 2_000, maxMs: 2_000, notAccepted: false },
  bad_gateway: { times: 3, firstMs: 2_000, maxMs: 2_000, notAccepted: false },
  timeout: { times: 2, firstMs: 5_000, maxMs: 5_000, notAccepted: false },
} as const satisfies Partial<Record<RequeueCause, RetryRule>>;

export type RetryCause = keyof typeof RULES;

/** Routes beside CMG's tasks that compute and change nothing (reference cms-api 1), where an operator queues them. */
const COMPUTING_ROUTES: ReadonlySet<string> = new Set([
  "generate",
  "stream/generate",
  "stream/process",
  "v1/embeddings",
  "v1/completions",
  "v1/chat/completions",
  "openai/v1/embeddings",
  "openai/v1/completions",
  "openai/v1/chat/completions",
  "ollama/api/generate",
  "ollama/api/chat",
]);

/** True for a route that may be sent twice. One that nobody knows may do anything: it is not. */
export function isRepeatable(task: string): boolean {
  if (Object.hasOwn(TASK_TYPES, task)) return !TASK_TYPES[task]!.tracked;
  return COMPUTING_ROUTES.has(task);
}

/** @returns null for a trouble that is never tried again */
export function causeOf(trouble: Trouble): RetryCause | null {
  if (trouble.kind === "busy") return "busy";
  if (trouble.kind === "failure") return trouble.failure === "protocol" ? null : trouble.failure;
  if (trouble.status === 429) return "too_many";
  if (trouble.status === 502) return "bad_gateway";
  return trouble.status === 408 || trouble.status === 504 ? "timeout" : null;
}

/** True when the call may have been accepted although nothing usable came back. */
export function mayBeAccepted(trouble: Trouble): boolean {
  if (trouble.kind === "failure") return trouble.sent;
  const cause = causeOf(trouble);
  return cause !== null && !RULES[cause].notAccepted;
}

/**
 * @param times      how often this task has met this trouble, this time included: 1 or more
 * @param repeatable false for what must not be sent twice
 * @param random     0..1, for jitter: waits spread over half their length so that callers do not come back together
 * @returns how long to wait before the next attempt, or null when this was the last
 */
export function decideRetry(trouble: Trouble, times: number, repeatable: boolean, random: number): number | null {
  const cause = causeOf(trouble);
  if (cause === null) return null;
  const rule = RULES[cause];
  if (times >= rule.times) return null;
  if (!repeatable && !rule.notAccepted && mayBeAccepted(trouble)) return null;
  const backoffMs = Math.min(rule.firstMs * 2 ** Math.min(times - 1, 30), rule.maxMs);
  const askedMs = trouble.kind === "status" ? Math.min(trouble.retryAfterMs ?? 0, 10 * rule.maxMs) : 0;
  return Math.max(askedMs, Math.round(backoffMs * (1 + random / 2)));
}
