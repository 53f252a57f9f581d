/**
 * Which failures are tried again, how often and when. One table, one pure function.
 *
 * The bounds are CMG's (reference cmg-api 2.3), without its nesting. Training and whatever else cannot be repeated is sent again only
 * when it is proven not accepted (promise 3): the connection was refused, or the model server itself refused with 429 or "busy".
 */

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
  /** Attempts in total; Infinity for "until it works or the deadline passes". */
  readonly attempts: number;
  readonly firstMs: number;
  readonly maxMs: number;
  /** True where the model server certainly did not take the call. */
  readonly notAccepted: boolean;
}

const RULES = {
  busy: { attempts: Number.POSITIVE_INFINITY, firstMs: 5_000, maxMs: 60_000, notAccepted: true },
  tooMany: { attempts: 10, firstMs: 5_000, maxMs: 60_000, notAccepted: true },
  refused: { attempts: 3, firstMs: 2_000, maxMs: 2_000, notAccepted: true },
  cut: { attempts: 3, firstMs: 2_000, maxMs: 2_000, notAccepted: false },
  badGateway: { attempts: 3, firstMs: 2_000, maxMs: 2_000, notAccepted: false },
  timeout: { attempts: 2, firstMs: 5_000, maxMs: 5_000, notAccepted: false },
} as const satisfies Record<string, RetryRule>;

function ruleFor(trouble: Trouble): RetryRule | null {
  if (trouble.kind === "busy") return RULES.busy;
  if (trouble.kind === "failure") {
    if (trouble.failure === "refused") return RULES.refused;
    if (trouble.failure === "timeout") return RULES.timeout;
    if (trouble.failure === "cut") return RULES.cut;
    return null;
  }
  if (trouble.status === 429) return RULES.tooMany;
  if (trouble.status === 502) return RULES.badGateway;
  if (trouble.status === 408 || trouble.status === 504) return RULES.timeout;
  return null;
}

/**
 * @param attempt    attempts made so far, 1 or more
 * @param repeatable false for what must not be sent twice
 * @param random     0..1, for jitter: waits spread over half their length so that callers do not come back together
 * @returns how long to wait before the next attempt, or null when this was the last
 */
export function decideRetry(trouble: Trouble, attempt: number, repeatable: boolean, random: number): number | null {
  const rule = ruleFor(trouble);
  if (rule === null || attempt >= rule.attempts) return null;
  const notSent = trouble.kind === "failure" && !trouble.sent;
  if (!repeatable && !rule.notAccepted && !notSent) return null;
  const backoffMs = Math.min(rule.firstMs * 2 ** Math.min(attempt - 1, 30), rule.maxMs);
  const askedMs = trouble.kind === "status" ? Math.min(trouble.retryAfterMs ?? 0, 10 * rule.maxMs) : 0;
  return Math.max(askedMs, Math.round(backoffMs * (1 + random / 2)));
}
