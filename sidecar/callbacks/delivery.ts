/**
 * Delivers callbacks: at least once each, in the background, a bounded number at a time, and few of them to one origin, so that a
 * receiver that hangs holds up its own callbacks alone. What is due stands in the store; here is only what is on its way.
 */
import { asSluiceError } from "../../core/contract/errors.js";
import type { Clock } from "../../core/runtime/clock.js";
import { failpoint } from "../../core/runtime/failpoints.js";
import type { HttpClient } from "../../core/runtime/http.js";
import type { Logger } from "../../core/runtime/logger.js";
import type { CallbackOutcome, CallbackStore, DueCallback } from "../tasks/upkeep-store.js";
import { callbackBody } from "./message.js";
import { postCallback } from "./post.js";
import { type DeliveryResult, isDue, outcomeOf } from "./retry.js";
import { webhookHeaders } from "./signature.js";

const MAX_AT_A_TIME = 16;
const MAX_PER_ORIGIN = 4;
/** Between looks when nothing wakes us: a bound on whatever was missed. */
const MAX_PAUSE_MS = 60_000;
/** While the store or its disk is down. */
const STORE_PAUSE_MS = 1_000;

export interface DeliveryOptions {
  readonly store: CallbackStore;
  readonly http: HttpClient;
  /** Signs what is sent; null: not signed. Asked at every delivery. */
  readonly key: () => Buffer | null;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly observer: { called(state: CallbackOutcome["state"]): void };
}

export interface Delivery {
  /** Something may have become due. Cheap: many calls in one turn are one look. */
  wake(): void;
  /** Cuts what is on its way; it is sent again after the next start. */
  stop(): Promise<void>;
}

export function startDelivery(options: DeliveryOptions): Delivery {
  const { store, clock, logger } = options;
  const stopping = new AbortController();
  const { signal } = stopping;
  const underWay = new Map<number, { origin: string; ended: Promise<void> }>();
  let isWoken = false;
  let turn = 0;
  let cancelTimer: () => void = () => undefined;

  function wake(): void {
    if (isWoken || signal.aborted) return;
    isWoken = true;
    clock.soon(() => {
      isWoken = false;
      if (!signal.aborted) look();
    });
  }

  function look(): void {
    cancelTimer();
    let pauseMs = MAX_PAUSE_MS;
    try {
      pauseMs = Math.min(pauseMs, beginDue());
    } catch (caught) {
      logger.warn({ event: "callbacks_unread", err: asSluiceError(caught) }, "due callbacks cannot be read");
      pauseMs = STORE_PAUSE_MS;
    }
    cancelTimer = clock.after(pauseMs, wake);
  }

  /** @returns milliseconds until more is due; what waits for a free place is looked at when one is given back */
  function beginDue(): number {
    const nowMs = clock.now();
    let nextMs = MAX_PAUSE_MS;
    const origins = store.origins();
    // Another origin is first each time: none is last for ever.
    turn = (turn + 1) % Math.max(1, origins.length);
    for (const { origin, dueAtMs } of [...origins.slice(turn), ...origins.slice(0, turn)]) {
      if (!isDue(dueAtMs, nowMs)) nextMs = Math.min(nextMs, dueAtMs - nowMs);
      else beginFor(origin, Math.max(nowMs, dueAtMs));
    }
    return nextMs;
  }

  function beginFor(origin: string, untilMs: number): void {
    const busy = [...underWay.values()].filter((each) => each.origin === origin).length;
    const free = Math.min(MAX_PER_ORIGIN - busy, MAX_AT_A_TIME - underWay.size);
    if (free <= 0) return;
    const fresh = store.due(origin, untilMs, busy + free).filter(({ seq }) => !underWay.has(seq));
    for (const callback of fresh.slice(0, free)) {
      underWay.set(callback.seq, { origin, ended: deliver(callback) });
    }
  }

  async function deliver(callback: DueCallback): Promise<void> {
    try {
      failpoint("callback.before_send");
      const result = await send(callback);
      const outcome = outcomeOf(result, callback.attempts + 1, { nowMs: clock.now(), random: Math.random() });
      failpoint("callback.after_send");
      await settle(callback, outcome);
      tell(callback, result, outcome);
    } catch (caught) {
      // Stopping: it is due as before. Anything else was not foreseen; the next look finds it due again.
      if (!signal.aborted) {
        logger.error(
          { event: "callback_fault", taskId: callback.uuid, err: asSluiceError(caught) },
          "a callback failed",
        );
        await clock.sleep(STORE_PAUSE_MS, signal);
      }
    } finally {
      underWay.delete(callback.seq);
      wake();
    }
  }

  function send(callback: DueCallback): Promise<DeliveryResult> {
    const body = callbackBody(callback);
    const message = { id: callback.uuid, timestamp: Math.floor(clock.now() / 1_000), body };
    const headers = webhookHeaders(message, options.key());
    return postCallback(callback.url, { headers, body }, { http: options.http, clock, signal });
  }

  /** While the store is down it is tried again, until we stop: then the callback is delivered once more after the next start. */
  async function settle({ seq, uuid }: DueCallback, outcome: CallbackOutcome): Promise<void> {
    for (let isWarned = false; ; isWarned = true) {
      try {
        await store.settle(seq, outcome);
        return;
      } catch (caught) {
        if (signal.aborted) throw caught;
        const { code } = asSluiceError(caught);
        if (!isWarned) logger.error({ taskId: uuid, code, err: caught }, "a callback's outcome cannot be written");
        await clock.sleep(STORE_PAUSE_MS, signal);
      }
    }
  }

  /** The URL may hold a token: only its origin is named. */
  function tell({ uuid, origin, attempts }: DueCallback, result: DeliveryResult, { state }: CallbackOutcome): void {
    options.observer.called(state);
    const fields = { taskId: uuid, origin, delivery: attempts + 1, ...result };
    if (state === "failed") logger.warn({ event: "callback_given_up", ...fields }, "a callback was given up");
    else logger.debug({ event: `callback_${state}`, ...fields }, "a callback was sent");
  }

  wake();
  return {
    wake,
    async stop() {
      stopping.abort(new Error("stopping"));
      cancelTimer();
      await Promise.all([...underWay.values()].map(({ ended }) => ended));
    },
  };
}
