/** Whether a callback is sent again, and when. Pure. */
import type { CallbackOutcome } from "../tasks/upkeep-store.js";

const FIRST_DELAY_MS = 5_000;
/** Longest pause between two deliveries, before jitter. */
const MAX_DELAY_MS = 3_600_000;
/** The last of them is sent about 24 hours after the first. */
export const MAX_DELIVERIES = 34;
/** Up to this share is taken off or put on, so that a receiver that comes back is not met by all at once. */
const JITTER = 0.2;

/** The receiver's status, or what kept it from giving one. */
export type DeliveryResult =
  | { readonly kind: "status"; readonly status: number }
  | { readonly kind: "failure"; readonly code: string };

const GONE = 410;

/**
 * @param delivery which one it was, from 1
 * @param random from 0 to 1
 */
export function outcomeOf(
  result: DeliveryResult,
  delivery: number,
  { nowMs, random }: { nowMs: number; random: number },
): CallbackOutcome {
  if (result.kind === "status") {
    if (result.status >= 200 && result.status < 300) return { state: "delivered" };
    if (result.status === GONE) return { state: "failed" };
  }
  if (delivery >= MAX_DELIVERIES) return { state: "failed" };
  return { state: "pending", dueAtMs: nowMs + delayAfter(delivery, random) };
}

export function delayAfter(delivery: number, random: number): number {
  const delayMs = Math.min(FIRST_DELAY_MS * 2 ** (delivery - 1), MAX_DELAY_MS);
  return Math.round(delayMs * (1 - JITTER + 2 * JITTER * random));
}

/** A clock that was set back must not hold a delivery up for longer than any pause is. */
export function isDue(dueAtMs: number, nowMs: number): boolean {
  return dueAtMs <= nowMs || dueAtMs > nowMs + 2 * MAX_DELAY_MS;
}
