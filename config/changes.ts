/** What differs between two configurations, and whether that asks for a restart. Pure. */
import { isDeepStrictEqual } from "node:util";
import type { Config } from "./schema.js";
import { type Node, RELOADABLE, ROOT } from "./settings.js";

/** Dotted paths of the settings that differ; lists and maps count as one. */
export function changedSettings(before: Config, after: Config): string[] {
  return differences(ROOT, [], before, after);
}

/** Those of them that only a restart takes over. */
export function needsRestart(before: Config, after: Config): string[] {
  return changedSettings(before, after).filter((path) => !RELOADABLE.includes(path));
}

function differences(node: Node, path: readonly string[], before: unknown, after: unknown): string[] {
  if (isDeepStrictEqual(before, after)) return [];
  const isNothing = before === null || after === null;
  if (node.kind !== "section" || isNothing) return [path.join(".")];
  return [...node.children].flatMap(([key, child]) =>
    differences(
      child,
      [...path, key],
      (before as Record<string, unknown>)[key],
      (after as Record<string, unknown>)[key],
    ),
  );
}
