/** How the texts of flags become values. A wrong one ends the command with 2 and says what would be right. */
import { InvalidArgumentError } from "commander";
import { SluiceError } from "../core/contract/errors.js";
import { ALIAS_NAME, checkModelId, isVersionReference } from "../core/contract/registry.js";
import { FAILURE_REASONS, TASK_STATUSES } from "../core/contract/tasks.js";

/** Whether it is in range is the configuration's to say, together with all its other faults. */
export function parsePort(text: string): number {
  if (!/^\d{1,5}$/.test(text)) throw new InvalidArgumentError("It must be a port, 0 to 65535.");
  return Number(text);
}

export function parsePriority(text: string): number {
  if (!/^[0-9]$/.test(text)) throw new InvalidArgumentError("It must be 0 (most urgent) to 9.");
  return Number(text);
}

export function parseLimit(text: string): number {
  const limit = Number(text);
  if (!/^\d{1,6}$/.test(text) || limit < 1)
    throw new InvalidArgumentError("It must be a whole number from 1 to 999999.");
  return limit;
}

export function parseStatus(text: string): string {
  if (!(TASK_STATUSES as readonly string[]).includes(text)) {
    throw new InvalidArgumentError(`It must be one of ${TASK_STATUSES.join(", ")}; a cancelled task is failed.`);
  }
  return text;
}

export function parseReason(text: string): string {
  if (!(FAILURE_REASONS as readonly string[]).includes(text)) {
    throw new InvalidArgumentError(`It must be one of ${FAILURE_REASONS.join(", ")}.`);
  }
  return text;
}

const TIME = /^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?$/;

/** A span back from now, or a time (in this machine's zone where it names none; a day alone begins at midnight UTC); ISO 8601 in UTC comes out. */
export function parseMoment(text: string): string {
  const isSpan = /^\d+(?:\.\d+)?(?:ms|s|m|h|d)$/.test(text);
  const time = TIME.test(text) ? Date.parse(text) : Number.NaN;
  const epochMs = isSpan ? Math.max(0, Date.now() - parseDuration(text)) : time;
  if (Number.isNaN(epochMs)) {
    throw new InvalidArgumentError("It must be a span such as 90s, 2h or 7d, or a time such as 2026-01-31T08:00.");
  }
  return new Date(epochMs).toISOString();
}

const UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

const DURATION = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)?$/;

/** Seconds, or text such as `90s`, `5m`, `250ms`; milliseconds come out. */
export function parseDuration(text: string): number {
  const match = DURATION.exec(text);
  if (match === null) throw new InvalidArgumentError("It must be seconds or a duration such as 90s, 5m or 2h.");
  return toMs(match);
}

function toMs(match: RegExpExecArray): number {
  return Number(match[1]) * UNITS_MS[match[2] ?? "s"]!;
}

const TTL = "It must be whole seconds above 0, or a duration such as 90s, 5m or 2h";

/** Whole seconds above 0. */
export function parseIdleTtl(text: string): number {
  return parseWholeSeconds(text, `${TTL}.`);
}

/** The same; -1 for `never`. */
export function parseTtl(text: string): number {
  return text === "never" || text === "-1" ? -1 : parseWholeSeconds(text, `${TTL}, or 'never'.`);
}

function parseWholeSeconds(text: string, otherwise: string): number {
  const match = DURATION.exec(text);
  const seconds = match === null ? Number.NaN : toMs(match) / 1_000;
  if (!Number.isInteger(seconds) || seconds < 1) throw new InvalidArgumentError(otherwise);
  return seconds;
}

export function parseMemory(text: string): string {
  if (!/^\d+(?:\.\d+)?[kKmMgG]?$/.test(text)) throw new InvalidArgumentError("It must be bytes, or like 512m or 1.5g.");
  return text;
}

/** It stays text, as Sluice takes it. */
export function parseCpus(text: string): string {
  if (!(/^\d+(?:\.\d+)?$/.test(text) && Number(text) > 0))
    throw new InvalidArgumentError("It must be a number above 0.");
  return text;
}

export function parseGpus(text: string): "all" | number {
  if (text === "all") return text;
  if (!/^0*[1-9]\d{0,5}$/.test(text)) throw new InvalidArgumentError("It must be 'all' or a whole number above 0.");
  return Number(text);
}

export function parseNumber(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError("It must be a whole number.");
  return Number(text);
}

export function parseLineCount(text: string): number {
  const count = parseNumber(text);
  if (count > 10_000) throw new InvalidArgumentError("It must be a whole number from 0 to 10000.");
  return count;
}

/** A duration as {@link parseDuration} takes it; it stays text, for Sluice to read. */
export function parseSpan(text: string): string {
  parseDuration(text);
  return text;
}

export function parseUrl(text: string): string {
  const url = tryUrl(text);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new InvalidArgumentError("It must be an http:// or https:// URL.");
  }
  return text.replace(/\/+$/, "");
}

function tryUrl(text: string): URL | null {
  try {
    return new URL(text);
  } catch {
    return null;
  }
}

/** One text of several. */
export function collectText(text: string, before: readonly string[] = []): string[] {
  return [...before, text];
}

/** One `name=value` of several; the value may hold `=`. */
export function collectPair(text: string, before: readonly (readonly [string, string])[] = []) {
  const at = text.indexOf("=");
  if (at < 1) throw new InvalidArgumentError("It must be name=value.");
  return [...before, [text.slice(0, at), text.slice(at + 1)] as const];
}

/** As a media type may stand in a header: no line break, nothing outside printable ASCII. */
export function parseHeaderText(text: string): string {
  if (!/^[\x21-\x7e][\x20-\x7e]{0,254}$/.test(text)) {
    throw new InvalidArgumentError("It must be printable ASCII, at most 255 characters.");
  }
  return text;
}

/** A model's id in the registry. */
export function parseRegistryId(text: string): string {
  try {
    checkModelId(text);
    return text;
  } catch (caught) {
    const hint = caught instanceof SluiceError ? (caught.hint ?? caught.message) : String(caught);
    throw new InvalidArgumentError(hint);
  }
}

export function parseAlias(text: string): string {
  if (!ALIAS_NAME.test(text)) {
    throw new InvalidArgumentError(
      "It must be a letter, then up to 127 letters, digits, underscores, dots or hyphens, other than 'latest'.",
    );
  }
  return text;
}

export function parseVersion(text: string): string {
  if (!isVersionReference(text)) throw new InvalidArgumentError("It must be a number, 'latest' or an alias.");
  return text;
}

/** `model` or `model/version`. */
export function parseModelVersion(text: string): { modelId: string; version: string | null } {
  const at = text.indexOf("/");
  if (at < 0) return { modelId: parseRegistryId(text), version: null };
  return { modelId: parseRegistryId(text.slice(0, at)), version: parseVersion(text.slice(at + 1)) };
}
