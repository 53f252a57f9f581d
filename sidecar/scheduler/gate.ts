/**
 * Gate mode: a request whose answer streams waits here for a permit, then passes straight through the proxy; nothing is stored.
 * The permit lasts as long as the proxy keeps its connection open.
 */
import { SluiceError } from "../../core/contract/errors.js";
import type { GateRequest } from "../../core/contract/internal-api.js";
import type { ModelCatalogue } from "../models/catalogue.js";
import type { Permits } from "./limiter.js";

export interface GateOptions {
  readonly catalogue: ModelCatalogue;
  readonly permits: Permits;
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
}

export function createGate(options: GateOptions): Gate {
  const { catalogue, permits } = options;
  let waiting = 0;
  return {
    async acquire(request, signal) {
      const limit = options.maxWaiting();
      if (waiting >= limit) {
        throw new SluiceError("QUEUE_FULL", `${limit} requests wait already, the limit`, { retryAfterMs: 10_000 });
      }
      waiting++;
      const releaseLease = catalogue.lease(request.model, `gate ${request.requestId}`);
      try {
        const entry = await catalogue.ensureReady(request.model, options.startTimeoutMs(), signal);
        const permit = await permits.request(
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
