import { HttpError, type Issue, missing, refuseAsInvalid, refuseWithMessage } from "./errors.js";
import { type Call, decodeUtf8 } from "./http.js";

/**
 * Reads a text or NDJSON body by CMS's rule: no content type, or any JSON one, means that the body is a JSON string; every other
 * type, curl's form type included, is taken as raw bytes.
 * @throws 422 V for an empty body or one that is not a JSON string; 500 N for bytes that are not UTF-8
 */
export async function readTextBody(call: Call): Promise<string> {
  const bytes = await call.readBody();
  if (bytes.length === 0) throw refuseAsInvalid([missing(["body"])]);
  if (!isJsonBody(call)) return decodeUtf8(bytes);
  const value = parseJsonBody(bytes);
  if (typeof value === "string") return value;
  throw refuseAsInvalid([issue("string_type", ["body"], "Input should be a valid string", value)]);
}

/** Reads a JSON body. Bytes of another type are handed on as the string they are, for the caller's check to refuse. */
export async function readJsonBody(call: Call): Promise<unknown> {
  const bytes = await call.readBody();
  if (bytes.length === 0) throw refuseAsInvalid([missing(["body"])]);
  return isJsonBody(call) ? parseJsonBody(bytes) : decodeUtf8(bytes);
}

/** @throws 422 V naming each element that is not a string */
export function checkStrings(value: unknown): string[] {
  if (!Array.isArray(value))
    throw refuseAsInvalid([issue("list_type", ["body"], "Input should be a valid list", value)]);
  const issues = value.flatMap((element, index) =>
    typeof element === "string"
      ? []
      : [issue("string_type", ["body", index], "Input should be a valid string", element)],
  );
  if (issues.length > 0) throw refuseAsInvalid(issues);
  return value;
}

/** @throws 422 V unless `value` is an object whose named keys are strings */
export function checkStringFields<K extends string>(value: unknown, keys: readonly K[]): Record<K, string> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    const msg = "Input should be a valid dictionary or object to extract fields from";
    throw refuseAsInvalid([issue("model_attributes_type", ["body"], msg, value)]);
  }
  const fields = value as Record<string, unknown>;
  const issues = keys.flatMap((key) => {
    if (!(key in fields)) return [{ ...missing(["body", key]), input: value }];
    return typeof fields[key] === "string"
      ? []
      : [issue("string_type", ["body", key], "Input should be a valid string", fields[key])];
  });
  if (issues.length > 0) throw refuseAsInvalid(issues);
  return fields as Record<K, string>;
}

/** Reads an uploaded JSON array of strings. @throws 500 N: CMS does not catch what its streaming parser says */
export function parseUploadedTexts(content: Buffer): string[] {
  try {
    return checkStrings(JSON.parse(decodeUtf8(content)));
  } catch (error) {
    if (error instanceof HttpError && error.status !== 422) throw error;
    throw refuseWithMessage(500, "The uploaded file is not a JSON array of strings");
  }
}

function isJsonBody(call: Call): boolean {
  const mediaType = (call.header("content-type") ?? "").split(";", 1)[0]!.trim().toLowerCase();
  return mediaType === "" || /^application\/(?:[^/]*\+)?json$/u.test(mediaType);
}

function parseJsonBody(bytes: Buffer): unknown {
  const text = decodeUtf8(bytes);
  try {
    return JSON.parse(text);
  } catch (error) {
    const at = Number(/position (\d+)/u.exec((error as Error).message)?.[1] ?? 0);
    const bad = issue("json_invalid", ["body", at], "JSON decode error", {});
    throw refuseAsInvalid([{ ...bad, ctx: { error: "Expecting value" } }]);
  }
}

function issue(type: string, loc: readonly (string | number)[], msg: string, input: unknown): Issue {
  return { type, loc, msg, input };
}
