/** Which bytes of a stored result a request gets (RFC 9110, sections 13 and 14). Pure. */

/** First and last byte, both included. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

export interface RangeHeaders {
  readonly range: string | undefined;
  readonly ifRange: string | undefined;
  readonly ifNoneMatch: string | undefined;
}

export type Portion =
  | { readonly kind: "whole" }
  | { readonly kind: "part"; readonly range: ByteRange }
  | { readonly kind: "unsatisfiable" }
  | { readonly kind: "not-modified" };

const WHOLE: Portion = { kind: "whole" };

/**
 * @param etag strong and quoted
 * @param size of the whole, in bytes
 */
export function decidePortion(headers: RangeHeaders, etag: string, size: number): Portion {
  if (headers.ifNoneMatch !== undefined && isNamed(headers.ifNoneMatch, etag)) return { kind: "not-modified" };
  if (headers.range === undefined) return WHOLE;
  // Only the very same strong tag will do; a date never does, for we send no Last-Modified.
  if (headers.ifRange !== undefined && headers.ifRange.trim() !== etag) return WHOLE;
  const range = parseRange(headers.range, size);
  if (range === "whole") return WHOLE;
  return range === "unsatisfiable" ? { kind: "unsatisfiable" } : { kind: "part", range };
}

/** If-None-Match compares weakly: `W/` does not count. */
function isNamed(list: string, etag: string): boolean {
  if (list.trim() === "*") return true;
  return list.split(",").some((each) => each.trim().replace(/^W\//, "") === etag);
}

const ONE_RANGE = /^bytes=[ \t]*(\d*)-(\d*)[ \t]*$/i;

/** What cannot be read, and several ranges at once, mean the whole: a server may ignore Range. */
export function parseRange(header: string, size: number): ByteRange | "whole" | "unsatisfiable" {
  const [, from, to] = ONE_RANGE.exec(header.trim()) ?? [];
  if (from === undefined || to === undefined || (from === "" && to === "")) return "whole";
  if (from === "") {
    const length = Math.min(Number(to), size);
    return length === 0 ? "unsatisfiable" : { start: size - length, end: size - 1 };
  }
  const start = Number(from);
  const last = to === "" ? Number.POSITIVE_INFINITY : Number(to);
  if (last < start) return "whole";
  return start >= size ? "unsatisfiable" : { start, end: Math.min(last, size - 1) };
}
