/** What the handles of listings mean. Pure. */
import { shownId } from "../../../core/contract/registry.js";
import { CallRefused } from "./statuses.js";

const MAX_INT64 = 2n ** 63n - 1n;
const MAX_UINT64 = 2n ** 64n - 1n;

/** How many models to skip. */
export function readModelHandle(handle: string): bigint {
  return readHandle("model_handle", handle, { pattern: /^[+-]?\d+$/, max: MAX_INT64 });
}

/** The version number to start from; with chosen numbers the index of the first one wanted. */
export function readVersionHandle(handle: string): bigint {
  return readHandle("version_handle", handle, { pattern: /^\d+$/, max: MAX_UINT64 });
}

function readHandle(field: string, handle: string, known: { pattern: RegExp; max: bigint }): bigint {
  if (handle === "") return 0n;
  // More digits than any number we gave out: BigInt's work grows with the square of them.
  const value = handle.length <= 64 && known.pattern.test(handle) ? BigInt(handle.replace(/^\+/, "")) : -1n;
  if (value >= 0n && value <= known.max) return value;
  throw new CallRefused(
    "INVALID_ARGUMENT",
    `Invalid value for \`${field}\` (${shownId(handle)}) only empty or values provided by a previous call should be used`,
  );
}

/** The part of a chosen list that one page answers. @param count 0: all that remain */
export function chosenPage<T>(chosen: readonly T[], skip: bigint, count: number): readonly T[] {
  const start = Number(skip);
  return chosen.slice(start, count === 0 ? undefined : start + count);
}
