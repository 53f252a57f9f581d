/**
 * What the caller asks for in its headers: how to be answered (RFC 7240), how urgent, for whom, until when. Pure.
 * Wrong values are 400 before a byte of the body is read; preferences we do not know are ignored, as the RFC wants.
 */
import { isLoopback } from "../../config/loopback.js";
import type { Config } from "../../config/schema.js";
import { isCallbackUrl, MAX_CALLBACK_LENGTH } from "../../config/sections/upkeep.js";
import { LONGEST_AGE_MS } from "../../config/sections/values.js";
import { SluiceError } from "../../core/contract/errors.js";
import type { AnswerMode } from "../../core/contract/tasks.js";

/** Longest `Prefer: wait`; above it a caller does better with the task's id. */
export const MAX_WAIT_MS = 3_600_000;

export interface AnswerPreference {
  readonly mode: AnswerMode;
  /** How long to hold the line, null without bound. */
  readonly waitMs: number | null;
  /** Value for Preference-Applied, null when no preference was used. */
  readonly applied: string | null;
}

/**
 * @param prefer every Prefer header, joined by commas
 * @throws INVALID_PREFER
 */
export function parsePrefer(prefer: string | undefined): AnswerPreference {
  let waitMs: number | null = null;
  let async = false;
  for (const preference of splitList(prefer ?? "")) {
    const [name, value] = nameAndValue(preference);
    if (name === "respond-async") async = true;
    // The RFC's rule: the first of several wins.
    else if (name === "wait" && waitMs === null) waitMs = parseWait(value);
  }
  if (waitMs !== null) {
    const applied = `${async ? "respond-async, " : ""}wait=${waitMs / 1_000}`;
    return { mode: waitMs === 0 ? "async" : "wait", waitMs, applied };
  }
  return async ? { mode: "async", waitMs: 0, applied: "respond-async" } : { mode: "held", waitMs: null, applied: null };
}

function parseWait(value: string | null): number {
  if (value === null || !/^\d{1,9}$/.test(value)) {
    throw new SluiceError("INVALID_PREFER", "the preference 'wait' needs a whole number of seconds, as in 'wait=30'");
  }
  return Math.min(Number(value) * 1_000, MAX_WAIT_MS);
}

/** Splits at commas outside quotes. */
function splitList(text: string): string[] {
  return (text.match(/(?:"(?:[^"\\]|\\.)*"|[^,"])+/g) ?? []).map((each) => each.trim()).filter((each) => each !== "");
}

function nameAndValue(preference: string): [string, string | null] {
  const [first = ""] = preference.split(";");
  const at = first.indexOf("=");
  if (at < 0) return [first.trim().toLowerCase(), null];
  const value = first.slice(at + 1).trim();
  return [first.slice(0, at).trim().toLowerCase(), value.replace(/^"(.*)"$/, "$1")];
}

/** @throws INVALID_HEADER */
export function parsePriority(value: string | undefined): number | null {
  if (value === undefined) return null;
  if (!/^\d$/.test(value.trim())) {
    throw new SluiceError("INVALID_HEADER", "X-Sluice-Priority must be a whole number from 0 (most urgent) to 9");
  }
  return Number(value);
}

const DEADLINE = /^(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h|d)?$/;
const UNIT_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** How long a task may wait, in milliseconds; no longer than a configured deadline may be. @throws INVALID_HEADER */
export function parseDeadline(value: string | undefined): number | null {
  if (value === undefined) return null;
  const match = DEADLINE.exec(value.trim());
  const ms = match === null ? 0 : Number(match[1]) * UNIT_MS[(match[2] ?? "s") as keyof typeof UNIT_MS];
  if (ms <= 0)
    throw new SluiceError("INVALID_HEADER", "X-Sluice-Deadline must be seconds or a duration such as 90s or 5m");
  if (ms > LONGEST_AGE_MS) {
    const days = Math.floor(LONGEST_AGE_MS / UNIT_MS.d);
    throw new SluiceError("INVALID_HEADER", `X-Sluice-Deadline may be ${days}d at most`);
  }
  return Math.ceil(ms);
}

/** @throws INVALID_HEADER */
export function parseTenant(value: string | undefined): string | null {
  if (value === undefined) return null;
  if (!/^[\w.@-]{1,64}$/.test(value)) {
    throw new SluiceError(
      "INVALID_HEADER",
      "X-Sluice-Tenant must be 1 to 64 letters, digits or the characters _ . @ -",
    );
  }
  return value;
}

/** @throws INVALID_HEADER */
export function parseIdempotencyKey(value: string | undefined): string | null {
  if (value === undefined) return null;
  if (!/^[\x21-\x7e]{1,255}$/.test(value)) {
    throw new SluiceError("INVALID_HEADER", "Idempotency-Key must be 1 to 255 visible ASCII characters without blanks");
  }
  return value;
}

/**
 * Where the task's end is told. The URL may hold a token, so no message repeats more of it than its origin.
 * @throws INVALID_HEADER
 */
export function parseCallback(value: string | undefined, { callbacks, proxy }: Config): string | null {
  if (value === undefined) return null;
  if (!isCallbackUrl(value)) {
    throw new SluiceError("INVALID_HEADER", "Sluice-Callback is no URL that can be called", {
      hint: `Send one http:// or https:// URL without credentials and fragment, at most ${MAX_CALLBACK_LENGTH} characters.`,
    });
  }
  const { origin } = new URL(value);
  const isAllowed = callbacks.allow === null ? isLoopback(proxy.host) : callbacks.allow.includes(origin);
  if (!isAllowed) {
    throw new SluiceError("INVALID_HEADER", `Sluice-Callback names ${origin}, which is not allowed`, {
      hint: "An operator lists the origins that may be called in callbacks.allow.",
    });
  }
  return value;
}
