/** The rates of all models as this sidecar keeps them: what was sent lately, what was learned from refusals, who must wait. */
import type { Clock } from "../../core/runtime/clock.js";
import { DEFAULT_PER_MS, type LearnedRate, lowered, MAX_AMOUNT, type Rate, raised, waitMs, windowMs } from "./rate.js";

/** One call's place in its model's window. */
export interface Turn {
  /** The call starts now: from here on it counts for one window. */
  start(): void;
  /** There is no call after all. */
  cancel(): void;
  /** The server refused it with 429; it wants no call for so long. */
  refused(retryAfterMs: number | null): void;
}

export interface Rates {
  /** Resolves when the model may be called; rejects with the reason of the first signal that aborts. */
  turn(model: string, signals: AbortSignal[]): Promise<Turn>;
  wait(model: string): RateWait;
}

/** Until a model may be called. */
export interface RateWait {
  readonly inMs: number;
  /** The rate that says so, configured or learned; null for a pause the server asked for. */
  readonly rate: Rate | null;
  /** Calls that may start at once. */
  readonly left: number;
}

/** Longest pause a server may ask for. */
const MAX_PAUSE_MS = 600_000;

interface Call {
  /** Null until it starts. */
  atMs: number | null;
  isRefused: boolean;
}

interface Window {
  /** In the order of their turns. */
  readonly calls: Call[];
  learned: LearnedRate | null;
  pausedUntilMs: number;
}

/** @param configuredOf the rate a model's entry names, or null */
export function createRates(clock: Clock, configuredOf: (model: string) => Rate | null): Rates {
  const windows = new Map<string, Window>();

  function windowOf(model: string): Window {
    const known = windows.get(model);
    if (known !== undefined) return known;
    const window: Window = { calls: [], learned: null, pausedUntilMs: 0 };
    windows.set(model, window);
    return window;
  }

  function forgetOld({ calls, learned }: Window, configured: Rate | null, nowMs: number): void {
    const spanMs = windowMs((learned ?? configured)?.perMs ?? DEFAULT_PER_MS);
    const isOld = ({ atMs }: Call) => atMs !== null && nowMs - atMs >= spanMs;
    while (calls.length > MAX_AMOUNT || (calls.length > 0 && isOld(calls[0]!))) calls.shift();
  }

  function waitOf(window: Window, configured: Rate | null, nowMs: number): number {
    forgetOld(window, configured, nowMs);
    window.learned = window.learned === null ? null : raised(window.learned, configured, nowMs);
    const pauseMs = Math.max(0, window.pausedUntilMs - nowMs);
    const rate = window.learned ?? configured;
    if (rate === null) return pauseMs;
    // Who has had a turn and not started yet counts as starting now.
    const starts = window.calls.filter((each) => !each.isRefused).map(({ atMs }) => atMs ?? nowMs);
    starts.sort((a, b) => a - b);
    return Math.max(pauseMs, waitMs(starts, rate, nowMs));
  }

  return {
    wait(model) {
      const window = windows.get(model);
      const configured = configuredOf(model);
      if (window === undefined)
        return { inMs: 0, rate: configured, left: configured?.amount ?? Number.POSITIVE_INFINITY };
      const inMs = waitOf(window, configured, clock.elapsed());
      const rate = window.learned ?? configured;
      const used = window.calls.filter((each) => !each.isRefused).length;
      const free = rate === null ? Number.POSITIVE_INFINITY : Math.max(0, rate.amount - used);
      return { inMs, rate, left: inMs > 0 ? 0 : free };
    },
    async turn(model, signals) {
      const window = windowOf(model);
      for (;;) {
        const delayMs = waitOf(window, configuredOf(model), clock.elapsed());
        if (delayMs <= 0) break;
        const ended = AbortSignal.any(signals);
        await clock.sleep(Math.ceil(delayMs), ended);
        ended.throwIfAborted();
      }
      const call: Call = { atMs: null, isRefused: false };
      window.calls.push(call);
      return {
        start: () => {
          call.atMs ??= clock.elapsed();
        },
        cancel: () => {
          const at = window.calls.lastIndexOf(call);
          if (at >= 0) window.calls.splice(at, 1);
        },
        refused: (retryAfterMs) => {
          const nowMs = clock.elapsed();
          const configured = configuredOf(model);
          call.isRefused = true;
          forgetOld(window, configured, nowMs);
          const spanMs = windowMs((window.learned ?? configured)?.perMs ?? DEFAULT_PER_MS);
          const accepted = window.calls.filter(
            ({ atMs, isRefused }) => atMs !== null && nowMs - atMs < spanMs && !isRefused,
          ).length;
          window.learned = lowered(accepted, window.learned ?? configured, nowMs);
          const pauseMs = Math.min(retryAfterMs ?? 0, MAX_PAUSE_MS);
          window.pausedUntilMs = Math.max(window.pausedUntilMs, nowMs + pauseMs);
        },
      };
    },
  };
}
