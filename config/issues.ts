/** The schema's findings in the words of operators. */
import type { z } from "zod";
import { type ConfigFault, faultAt, type Origin } from "./faults.js";
import { type Merged, valueAt } from "./layers.js";
import { nearest } from "./nearest.js";
import { formatPath, type Node, nodeAt, ROOT, SETTINGS } from "./settings.js";

type Issue = z.core.$ZodIssue;
type Steps = readonly (string | number)[];

const NOWHERE: Origin = { source: "file", where: "(default)" };

/** Every issue as a fault with its origin. */
export function faultsOf(issues: readonly Issue[], merged: Merged): ConfigFault[] {
  return issues.flatMap((issue) => faultsOfIssue(issue, merged));
}

function faultsOfIssue(issue: Issue, merged: Merged): ConfigFault[] {
  const path = issue.path as Steps;
  const origin = (steps: Steps) => merged.originOf(steps) ?? NOWHERE;
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => {
      const steps = [...path, key];
      return faultAt(steps, origin(steps), "unknown key", { hint: nearestKey(path, key) });
    });
  }
  if (issue.code === "invalid_key") {
    const why = issue.issues[0]?.message;
    return [faultAt(path, origin(path), why === undefined ? "this name cannot stand here" : `this name ${why}`)];
  }
  const value = valueAt(merged.raw, path);
  const node = nodeAt(path);
  if (value === undefined) {
    return issue.code === "custom"
      ? [faultAt(path, origin(path), issue.message)]
      : [faultAt(path, origin(path), "is missing")];
  }
  const told = messageOf(issue, node);
  if (issue.code === "custom") return [faultAt(path, origin(path), told, typeof value === "number" ? { value } : {})];
  if (value === "") return [faultAt(path, origin(path), `${told}, but it is empty`)];
  const hint = typeof value === "string" && node !== undefined ? nearest(value, node.choices) : undefined;
  return [faultAt(path, origin(path), told, { value, hint })];
}

/** The key meant at this place; or a key of the same name somewhere else, with its path. */
function nearestKey(path: Steps, key: string): string | undefined {
  const here = path.length === 0 ? ROOT : nodeAt(path);
  const near = nearest(key, here?.children.keys() ?? []);
  if (near !== undefined) return near;
  const elsewhere = SETTINGS.find(({ path: steps }) => steps.at(-1) === key);
  return elsewhere === undefined ? undefined : formatPath(elsewhere.path);
}

const KIND_WORDS: Readonly<Record<string, string>> = {
  string: "must be text",
  number: "must be a number",
  int: "must be a whole number",
  boolean: "must be true or false",
  array: "must be a list",
  tuple: "must be a list",
  object: "must be a mapping",
  record: "must be a mapping",
};

function messageOf(issue: Issue, node: Node | undefined): string {
  switch (issue.code) {
    case "invalid_type":
      return node?.kind === "number" && node.whole
        ? "must be a whole number"
        : (KIND_WORDS[issue.expected] ?? issue.message);
    case "invalid_value":
      return node !== undefined && node.choices.length > 1
        ? `must be one of ${node.choices.join(", ")}`
        : `must be ${issue.values.join(" or ")}`;
    case "too_small":
      return boundsOf(issue.origin, "at least", Number(issue.minimum));
    case "too_big":
      return boundsOf(issue.origin, "at most", Number(issue.maximum));
    default:
      return issue.message;
  }
}

function boundsOf(origin: string, words: string, bound: number): string {
  if (origin === "string") return bound === 1 ? "must not be empty" : `must have ${words} ${bound} characters`;
  if (origin === "array") return `must have ${words} ${bound} ${bound === 1 ? "entry" : "entries"}`;
  return `must be ${words} ${bound}`;
}
