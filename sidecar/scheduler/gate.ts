/**
 * Gate mode: a request whose answer streams waits here for a permit, then passes straight through the proxy; nothing is stored.
 * The permit lasts as long as the proxy keeps its connection open.
 *
 * As with tasks, a lane (model, class) asks for no more permits than it could use and says who passes when one is granted: a crowd that
 * stood in the limiter itself would let neither a task nor another tenant in between.
 */
import { SluiceError } from "../../core/contract/errors.js";
import type { GateRequest } from "../../core/contract/internal-api.js";
import type { ModelEntry } from "../../core/contract/models.js";
import type { Clock } from "../../core/runtime/clock.js";
import type { ModelCatalogue } from "../models/catalogue.js";
import { LOWEST_PRIORITY, planPermits } from "./decide.js";
import { GateQueue, type GateWaiter } from "./gate-queue.js";
import type { Permit, Permits } from "./limiter.js";
import { nextLiftMs, rankOf } from "./order.js";

export interface GateOptions {
  readonly catalogue: ModelCatalogue;
  readonly permits: Permits;
  readonly clock: Clock;
  readonly ageingMs: () => number;
  /** The most urgent priority among tasks that may start; Infinity when none may. */
  readonly taskUrgency: () => number;
  readonly priorityOf: (className: string, asked: number | null) => number;
  readonly weightOf: (tenant: string | null) => number;
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

interface Waiter extends GateWaiter {
  readonly pass: (permit: Permit) => void;
  readonly refuse: (cause: unknown) => void;
}

interface Lane {
  readonly model: string;
  readonly class: string;
  concurrency: number;
  readonly queue: GateQueue<Waiter>;
  /** Permit requests waiting in the limiter, by rank. */
  readonly outstanding: number[];
  cancelLift: () => void;
}

export function createGate(options: GateOptions): Gate {
  const { catalogue, permits, clock } = options;
  const lanes = new Map<string, Lane>();
  let waiting = 0;
  const urgency = () =>
    Math.min(...[...lanes.values()].flatMap(({ queue }) => queue.lines().map(({ priority }) => priority)));

  function laneOf({ name, concurrency }: ModelEntry, className: string): Lane {
    const key = `${className}\u0000${name}`;
    const outstanding = new Array<number>(LOWEST_PRIORITY + 1).fill(0);
    const lane = lanes.get(key) ?? {
      model: name,
      class: className,
      concurrency,
      queue: new GateQueue<Waiter>(),
      outstanding,
      cancelLift() {},
    };
    lane.concurrency = concurrency;
    lanes.set(key, lane);
    return lane;
  }

  /** Asks for what the lane could use, and again when a line gains a rank: a request in the limiter cannot be moved up. */
  function plan(lane: Lane): void {
    lane.cancelLift();
    const lines = lane.queue.lines();
    if (lines.length === 0) return;
    const [nowMs, ageingMs] = [clock.elapsed(), options.ageingMs()];
    const best = Math.min(urgency(), options.taskUrgency());
    const ranked = lines.map((line) => ({ rank: rankOf(line, best, nowMs, ageingMs), due: line.size }));
    for (const { rank, count } of planPermits(ranked, lane.outstanding, lane.concurrency)) {
      for (let each = 0; each < count; each++) askOne(lane, rank);
    }
    const nextMs = Math.min(...lines.map((line) => nextLiftMs(line, best, nowMs, ageingMs) ?? nowMs + ageingMs));
    lane.cancelLift = clock.after(Math.max(1, nextMs - nowMs), () => plan(lane));
  }

  function askOne(lane: Lane, rank: number): void {
    const { model, class: className, concurrency } = lane;
    lane.outstanding[rank]! += 1;
    permits
      .request({ model, class: className, priority: rank, training: false, concurrency })
      .finally(() => {
        lane.outstanding[rank]! -= 1;
      })
      .then(
        (permit) => {
          const waiter = lane.queue.take(clock.elapsed(), options.ageingMs());
          if (waiter === null) permit.releaseUnused();
          else waiter.pass(permit);
          plan(lane);
        },
        (cause) => {
          lane.cancelLift();
          for (const waiter of lane.queue.clear()) waiter.refuse(cause);
        },
      );
  }

  function passInTurn(lane: Lane, place: GateWaiter, signal: AbortSignal): Promise<Permit> {
    signal.throwIfAborted();
    let hangUp = () => {};
    const passed = new Promise<Permit>((pass, refuse) => {
      const waiter: Waiter = { ...place, pass, refuse };
      hangUp = () => {
        lane.queue.remove(waiter);
        refuse(signal.reason);
      };
      signal.addEventListener("abort", hangUp, { once: true });
      lane.queue.add(waiter);
      plan(lane);
    });
    return passed.finally(() => signal.removeEventListener("abort", hangUp));
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
        const { class: className, tenant } = request;
        const place = {
          priority: options.priorityOf(className, request.priority),
          tenant,
          weight: options.weightOf(tenant),
          arrivedMs: clock.elapsed(),
        };
        const permit = await passInTurn(laneOf(entry, className), place, signal);
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
