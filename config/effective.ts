/** The configuration in force, as an operator would write it: in units, with defaults filled in and secrets masked. Pure. */
import { DEFAULT_ROUTES } from "../core/contract/routes.js";
import { MASK, maskCredentials } from "./faults.js";
import { isMapping, type Path, valueAt } from "./layers.js";
import type { LoadedConfig, Sources } from "./load.js";
import { DEFAULT_CLASSES } from "./sections/work.js";
import { formatPath, type Node, ROOT } from "./settings.js";

/** Entries that are always there beside those that were written. */
const ALWAYS: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  "scheduler.classes": DEFAULT_CLASSES,
  "scheduler.routes": DEFAULT_ROUTES,
};

/** Where the effective value is the absolute path, not what was written. */
const FILE_PATHS: readonly Path[] = [
  ["data_dir"],
  ["sidecar", "socket"],
  ["registry", "archive_dir"],
  ["registry", "log_file"],
];

export function effectiveSettings(loaded: LoadedConfig, { merged }: Sources): Record<string, unknown> {
  const paths = new Map(FILE_PATHS.map((path) => [formatPath(path), valueAt(loaded.config, path)]));
  const fill = (node: Node, path: Path, written: unknown): unknown => {
    const value = paths.get(formatPath(path)) ?? (written === undefined ? node.default : written);
    if (value === null) return null;
    if (node.secret) return MASK;
    switch (node.kind) {
      case "section": {
        const given = isMapping(value) ? value : {};
        return Object.fromEntries(
          [...node.children].map(([key, child]) => [key, fill(child, [...path, key], given[key])]),
        );
      }
      case "list":
        return (value as unknown[]).map((each, index) => fill(node.element!, [...path, index], each));
      case "map": {
        const all = Object.entries({ ...ALWAYS[formatPath(path)], ...(value as Record<string, unknown>) });
        return Object.fromEntries(all.map(([key, each]) => [key, fill(node.element!, [...path, key], each)]));
      }
      default:
        return typeof value === "string" ? maskCredentials(value) : value;
    }
  };
  return fill(ROOT, [], merged.raw) as Record<string, unknown>;
}

/** `config/sluice.yaml:12`, `SLUICE_PROXY_PORT`, `--port` or `default`. */
export function originWords({ merged }: Sources, path: Path): string {
  return valueAt(merged.raw, path) === undefined ? "default" : (merged.originOf(path)?.where ?? "default");
}

/** Each single value by its dotted path. */
export function flattened(value: unknown, path: Path = []): [Path, unknown][] {
  const isBranch = typeof value === "object" && value !== null && Object.keys(value).length > 0;
  if (!isBranch) return [[path, value]];
  const entries: [string | number, unknown][] = Array.isArray(value) ? [...value.entries()] : Object.entries(value);
  return entries.flatMap(([key, child]) => flattened(child, [...path, key]));
}
