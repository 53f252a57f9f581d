import { type Issue, missing, refuseAsInvalid } from "./errors.js";

/** Reads what was given for one name. Scalars take the last of several values, as CMS does. */
export type Reader<T> = (given: readonly string[], name: string) => T | Refusal;

class Refusal {
  constructor(readonly issue: Issue) {}
}

interface Bounds {
  readonly min?: number;
  readonly above?: number;
  readonly max?: number;
}

/** @throws 422 V listing every parameter that is wrong */
export function readQuery<S extends Record<string, Reader<unknown>>>(
  query: URLSearchParams,
  readers: S,
): { [K in keyof S]: S[K] extends Reader<infer T> ? T : never } {
  const read = Object.entries(readers).map(([name, reader]) => [name, reader(query.getAll(name), name)] as const);
  const issues = read.flatMap(([, value]) => (value instanceof Refusal ? [value.issue] : []));
  if (issues.length > 0) throw refuseAsInvalid(issues);
  return Object.fromEntries(read) as never;
}

export function integer<T extends number | null>(standard: T, bounds: Bounds = {}): Reader<number | T> {
  return numeric({ standard, bounds, type: "int", noun: "integer", pattern: /^[+-]?\d{1,15}$/u });
}

export function decimal<T extends number | null>(standard: T, bounds: Bounds = {}): Reader<number | T> {
  return numeric({
    standard,
    bounds,
    type: "float",
    noun: "number",
    pattern: /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/iu,
  });
}

export function requiredInteger(): Reader<number> {
  const read = integer(0);
  return (given, name) => (given.length === 0 ? absent(name) : read(given, name));
}

export function text<T extends string | null>(standard: T): Reader<string | T> {
  return (given) => given.at(-1) ?? standard;
}

export function requiredText(): Reader<string> {
  return (given, name) => given.at(-1) ?? absent(name);
}

/** The parameter may be repeated. Lists with commas are not taken apart. */
export function texts(): Reader<readonly string[]> {
  return (given) => given;
}

export function flag(standard: boolean): Reader<boolean> {
  return (given, name) => {
    const value = given.at(-1);
    if (value === undefined) return standard;
    if (/^(?:true|1|on|t|yes|y)$/iu.test(value)) return true;
    if (/^(?:false|0|off|f|no|n)$/iu.test(value)) return false;
    return refuse("bool_parsing", name, "Input should be a valid boolean, unable to interpret input", value);
  };
}

function numeric<T extends number | null>(kind: {
  standard: T;
  bounds: Bounds;
  type: string;
  noun: string;
  pattern: RegExp;
}): Reader<number | T> {
  return (given, name) => {
    const value = given.at(-1);
    if (value === undefined) return kind.standard;
    if (!kind.pattern.test(value)) {
      const msg = `Input should be a valid ${kind.noun}, unable to parse string as a${kind.type === "int" ? "n integer" : " number"}`;
      return refuse(`${kind.type}_parsing`, name, msg, value);
    }
    return checkBounds(Number(value), kind.bounds, name, value) ?? Number(value);
  };
}

function checkBounds(value: number, { min, above, max }: Bounds, name: string, input: string): Refusal | null {
  const refused = (type: string, words: string, ctx: Record<string, number>) =>
    new Refusal({ type, loc: ["query", name], msg: `Input should be ${words} ${Object.values(ctx)[0]}`, input, ctx });
  if (min !== undefined && value < min) return refused("greater_than_equal", "greater than or equal to", { ge: min });
  if (above !== undefined && value <= above) return refused("greater_than", "greater than", { gt: above });
  if (max !== undefined && value > max) return refused("less_than_equal", "less than or equal to", { le: max });
  return null;
}

function refuse(type: string, name: string, msg: string, input: string): Refusal {
  return new Refusal({ type, loc: ["query", name], msg, input });
}

function absent(name: string): Refusal {
  return new Refusal(missing(["query", name]));
}
