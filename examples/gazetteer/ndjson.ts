import { refuseWithMessage } from "./errors.js";

/** One line of an NDJSON body. */
export interface StreamItem {
  readonly text: string;
  readonly name?: string;
}

/** What is wrong with a line, or the item it holds. */
export type ReadLine = { readonly item: StreamItem } | { readonly fault: string; readonly notObject?: true };

export const NDJSON_TYPE = "application/x-ndjson; charset=utf-8";

/** Reads one line: an object with `text` and perhaps `name`, and no other key. */
export function readLine(line: string): ReadLine {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return { fault: "Invalid JSON Line" };
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return { fault: "A JSON Line must be an object", notObject: true };
  }
  const { text, name, ...others } = value as Record<string, unknown>;
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) return { fault: "Unknown key in JSON Line: only text and name are allowed" };
  if (typeof text !== "string") return { fault: "JSON Line without a string as text" };
  if (name !== undefined && name !== null && typeof name !== "string")
    return { fault: "JSON Line whose name is not a string" };
  return { item: typeof name === "string" ? { text, name } : { text } };
}

/**
 * Reads a whole NDJSON text; the last line may lack its line break.
 * @throws 400 N for the first bad or blank line; 500 N for one that is not an object, as CMS does
 */
export function readAllLines(body: string): StreamItem[] {
  const lines = body.endsWith("\n") ? body.slice(0, -1).split("\n") : body.split("\n");
  return lines.map((line, index) => {
    const read = readLine(line);
    if ("item" in read) return read.item;
    throw refuseWithMessage(read.notObject ? 500 : 400, `${read.fault} (line ${index + 1})`);
  });
}
