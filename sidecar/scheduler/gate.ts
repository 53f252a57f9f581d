/**
 * Gate mode: a request whose answer streams waits here for a permit, then passes straight through the proxy; nothing is stored.
 * The permit lasts as long as the proxy keeps its connection open.
 */
import { SluiceError } from "../../core/contract/errors.js";
import type { GateRequest } from "../../core/contract/internal-api.js";
import type { Clock } from "../../core/runtime/clock.js";
import type { ModelCatalogue } from "../models/catalogue.js";
import type { Permit, PermitRequest, Permits } from "./limiter.js";
import { nextLiftMs, rankOf } from "./order.js";

export interface GateOptions {
  readonly catalogue: ModelCatalogue;
  readonly permits: Permits;
  readonly clock: Clock;
  readonly ageingMs: () => number;
  /** The most urgent priority among tasks that may start; Infinity when none may. */
  readonly taskUrgency: () => number;
  readonly priorityOf: (className: string, asked: number | null) => number;
  readonly startTimeoutMs: () => number;
  /** Most requests that may wait at once. */
  readonly maxWaiting: () => number;
}

export interface Gate {
  /**
   * Resolves with the release when the request may pass.
   * @throws QUEUE_FULL, MODEL_UNKNOWN, MODEL_NOT_READY, MODEL_START_FAILED, SHUTTING_DOWN; the signal's reason when aborted
   */
  acquire(request: GateRequest, signal: AbortSignal): Promise<() => void>;
  /** The most urgent priority among those that wait for a permit; Infinity when none does. */
  urgency(): number;
}

export function createGate(options: GateOptions): Gate {
  const { catalogue, permits, clock } = options;
  let waiting = 0;
  const priorities = new Map<symbol, number>();
  const urgency = () => Math.min(...priorities.values());

  /**
   * A request in the limiter cannot be moved up: whoever gains a rank by waiting asks once more, and the first grant counts. What is
   * granted besides is given back.
   */
  async function requestPermit(request: PermitRequest, signal: AbortSignal): Promise<Permit> {
    signal.throwIfAborted();
    const me = Symbol(request.model);
    priorities.set(me, request.priority);
    const line = { priority: request.priority, oldestMs: clock.now() };
    const over = new AbortController();
    const stop = AbortSignal.any([signal, over.signal]);
    let asked = Number.POSITIVE_INFINITY;
    let isOver = false;
    let cancelLift = () => {};
    try {
      return await new Promise<Permit>((resolve, reject) => {
        const use = (permit: Permit) => {
          if (isOver) return permit.releaseUnused();
          isOver = true;
          resolve(permit);
        };
        const ask = () => {
          const [nowMs, ageingMs] = [clock.now(), options.ageingMs()];
          const best = Math.min(urgency(), options.taskUrgency());
          const rank = rankOf(line, best, nowMs, ageingMs);
          if (rank < asked) permits.request({ ...request, priority: rank }, stop).then(use, reject);
          asked = Math.min(asked, rank);
          cancelLift = clock.after((nextLiftMs(line, best, nowMs, ageingMs) ?? nowMs + ageingMs) - nowMs, ask);
        };
        signal.addEventListener("abort", () => reject(signal.reason), { once: true });
        ask();
      });
    } finally {
      isOver = true;
      cancelLift();
      over.abort(new Error("another request was granted"));
      priorities.delete(me);
    }
  }

  return {
    urgency,
    async acquire(request, signal) {
      const limit = options.maxWaiting();
      if (waiting >= limit) {
        throw new SluiceError("QUEUE_FULL", `${limit} requests wait already, the limit`, { retryAfterMs: 10_000 });
      }
      waiting++;
      const releaseLease = catalogue.lease(request.model, `gate ${request.requestId}`);
      try {
        const entry = await catalogue.ensureReady(request.model, options.startTimeoutMs(), signal);
        const permit = await requestPermit(
          {
            model: entry.name,
            class: request.class,
            priority: options.priorityOf(request.class, request.priority),
            training: false,
            concurrency: entry.concurrency,
          },
          signal,
        );
        return () => {
          permit.release();
          releaseLease();
        };
      } catch (error) {
        releaseLease();
        throw error;
      } finally {
        waiting--;
      }
    },
  };
}
