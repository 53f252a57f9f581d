/** Judges outcomes and counts them; what belongs to the warm-up is judged but not measured. */
import type { Outcome } from "./connection.js";
import { Histogram } from "./histogram.js";
import type { LoadPlan, LoadResult } from "./plan.js";

function findFault(outcome: Outcome, { statuses, bytes }: LoadPlan["expect"]): string | null {
  if (outcome.kind === "broken") return outcome.reason;
  if (!statuses.includes(outcome.status)) return `status-${outcome.status}`;
  if (bytes !== null && outcome.bytes !== bytes) return `length-${outcome.bytes}`;
  return null;
}

export class Tally {
  readonly #plan: LoadPlan;
  readonly #latencies = new Histogram();
  readonly #errors: Record<string, number> = {};
  /** In the clock of `performance.now()`. */
  readonly #measuredFromMs: number;
  readonly #endsAtMs: number;
  #answers = 0;

  constructor(plan: LoadPlan, startMs: number) {
    this.#plan = plan;
    this.#measuredFromMs = startMs + plan.warmupMs;
    this.#endsAtMs = this.#measuredFromMs + plan.durationMs;
  }

  get endsAtMs(): number {
    return this.#endsAtMs;
  }

  fail(kind: string): void {
    this.#errors[kind] = (this.#errors[kind] ?? 0) + 1;
  }

  /**
   * @param sinceMs when the request was due (open loop) or sent (closed loop)
   */
  settle(outcome: Outcome, sinceMs: number): void {
    const fault = findFault(outcome, this.#plan.expect);
    if (fault !== null) {
      this.fail(fault);
      return;
    }
    const nowMs = performance.now();
    // Open loop: whatever was due in the window counts, however late it comes. Closed loop: whatever came in the window.
    const momentMs = this.#plan.rate === null ? nowMs : sinceMs;
    if (momentMs < this.#measuredFromMs || momentMs >= this.#endsAtMs) return;
    this.#answers++;
    this.#latencies.record(nowMs - sinceMs);
  }

  result(): LoadResult {
    return {
      answers: this.#answers,
      durationMs: this.#plan.durationMs,
      latencies: this.#latencies.counts(),
      errors: this.#errors,
    };
  }
}
