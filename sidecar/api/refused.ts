/** Refused values as CMG lists them, and the words for what a schema found. Pure. */
import type { z } from "zod";
import { SluiceError } from "../../core/contract/errors.js";

/** One refused value. */
export interface Item {
  readonly type: string;
  readonly loc: readonly (string | number)[];
  readonly msg: string;
  readonly input: unknown;
  readonly ctx?: Readonly<Record<string, unknown>>;
}

/** What is refused, as `message` says it; the items alone repeat what the caller sent. */
export function refuse(what: string, items: readonly Item[]): SluiceError {
  return new SluiceError("INVALID_PARAMETER", what, { detail: items });
}

export function missing(loc: Item["loc"], input: unknown): Item {
  return { type: "missing", loc, msg: "Field required", input };
}

export function notAnInteger(loc: Item["loc"], input: unknown): Item {
  const msg = "Input should be a valid integer, unable to parse string as an integer";
  return { type: "int_parsing", loc, msg, input };
}

export function notAnObject(loc: Item["loc"], input: unknown): Item {
  const msg = "Input should be a valid dictionary or object to extract fields from";
  return { type: "model_attributes_type", loc, msg, input };
}

type Issue = z.core.$ZodIssue;

/** @param given what the schema refused */
export function itemsOf(issues: readonly Issue[], given: unknown): Item[] {
  return issues.map((issue) => {
    const path = issue.path.map((key) => (typeof key === "number" ? key : String(key)));
    const loc = ["body", ...path];
    const input = valueAt(given, path);
    return input === undefined ? missing(loc, valueAt(given, path.slice(0, -1))) : itemOf(issue, loc, input);
  });
}

function itemOf(issue: Issue, loc: Item["loc"], input: unknown): Item {
  switch (issue.code) {
    case "invalid_type":
      return wrongType(issue.expected, loc, input);
    case "too_small":
      return outOfBounds(issue.inclusive === true ? ["ge", "greater"] : ["gt", "greater"], issue.minimum, loc, input);
    case "too_big":
      return outOfBounds(issue.inclusive === true ? ["le", "less"] : ["lt", "less"], issue.maximum, loc, input);
    default:
      return { type: "value_error", loc, msg: `Value error, ${issue.message}`, input, ctx: { error: {} } };
  }
}

function wrongType(expected: string, loc: Item["loc"], input: unknown): Item {
  const isText = typeof input === "string";
  const isNumber = typeof input === "number";
  if (expected === "object") return notAnObject(loc, input);
  if (expected === "boolean") {
    const msg = "Input should be a valid boolean";
    if (!isText && !Number.isInteger(input)) return { type: "bool_type", loc, msg, input };
    return { type: "bool_parsing", loc, msg: `${msg}, unable to interpret input`, input };
  }
  if (expected === "string") return { type: "string_type", loc, msg: "Input should be a valid string", input };
  if (isText) return notAnInteger(loc, input);
  const msg = "Input should be a valid integer";
  if (!isNumber) return { type: "int_type", loc, msg, input };
  return { type: "int_from_float", loc, msg: `${msg}, got a number with a fractional part`, input };
}

type Bound = readonly ["ge" | "gt" | "le" | "lt", "greater" | "less"];

function outOfBounds([key, word]: Bound, limit: number | bigint, loc: Item["loc"], input: unknown): Item {
  const orEqual = key === "ge" || key === "le";
  return {
    type: `${word}_than${orEqual ? "_equal" : ""}`,
    loc,
    msg: `Input should be ${word} than ${orEqual ? "or equal to " : ""}${limit}`,
    input,
    ctx: { [key]: Number(limit) },
  };
}

function valueAt(given: unknown, path: readonly (string | number)[]): unknown {
  return path.reduce((value, key) => (value as Record<string | number, unknown> | null | undefined)?.[key], given);
}
