/** Settings that are understood but change nothing yet. Pure. */
import { isDeepStrictEqual } from "node:util";
import { isMapping, type Path } from "./layers.js";
import { formatPath, type Node, ROOT } from "./settings.js";

/** Paths of settings that were given another value than their default and take effect only with a later version. */
export function settingsWithoutEffect(raw: unknown): string[] {
  return find(ROOT, [], raw, false).map(formatPath);
}

function find(node: Node, path: Path, value: unknown, isBelowLater: boolean): Path[] {
  const isLater = isBelowLater || node.isLater;
  if (value === undefined || value === null) return [];
  if (node.kind === "section" && isMapping(value)) {
    return [...node.children].flatMap(([key, child]) => find(child, [...path, key], value[key], isLater));
  }
  if (isLater) return isDeepStrictEqual(value, node.default) ? [] : [path];
  if (node.element?.kind !== "section") return [];
  const entries = Array.isArray(value) ? [...value.entries()] : isMapping(value) ? Object.entries(value) : [];
  return entries.flatMap(([key, each]) => find(node.element!, [...path, key], each, false));
}
