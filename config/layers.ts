/** Sources of settings laid over one another. Pure: plain data in, one raw tree with the origin of every value out. */
import { type ConfigFault, faultAt, type Origin } from "./faults.js";
import { type Node, nodeAt } from "./settings.js";

export type Path = readonly (string | number)[];

/** One value at one path. The origin can be asked for any path at or below it. */
export interface Entry {
  readonly path: readonly string[];
  readonly value: unknown;
  readonly originOf: (path: Path) => Origin;
}

/** What one source says. */
export interface Layer {
  readonly entries: readonly Entry[];
  readonly faults: readonly ConfigFault[];
  readonly warnings: readonly string[];
}

export const NO_LAYER: Layer = { entries: [], faults: [], warnings: [] };

/**
 * Takes a tree of settings apart: sections key by key, everything else as it stands. A section, list or map without a value
 * (`discovery:` with all its lines commented out) counts as not written.
 */
export function layerOf(value: unknown, originOf: (path: Path) => Origin, at: readonly string[] = []): Layer {
  const node = nodeAt(at);
  if (node?.kind === "section" && isMapping(value)) {
    const below = Object.entries(value).map(([key, child]) => layerOf(child, originOf, [...at, key]));
    return joinLayers(below);
  }
  const ignored = value === null && node !== undefined && !node.nullable && isContainer(node);
  if (ignored || value === undefined) return NO_LAYER;
  const fault = (message: string, more: { value?: unknown } = {}): Layer => ({
    ...NO_LAYER,
    faults: [faultAt(at, originOf(at), message, more)],
  });
  if (node?.kind === "section" && !(value === null && node.nullable)) {
    return fault(at.length === 0 ? "must be a mapping of settings" : "must be a mapping", { value });
  }
  if (at.includes("__proto__") || hasForbiddenKey(value)) return fault("unknown key");
  return { ...NO_LAYER, entries: [{ path: at, value, originOf }] };
}

export function joinLayers(layers: readonly Layer[]): Layer {
  return {
    entries: layers.flatMap(({ entries }) => entries),
    faults: layers.flatMap(({ faults }) => faults),
    warnings: layers.flatMap(({ warnings }) => warnings),
  };
}

export interface Merged {
  /** What the schema is given. */
  readonly raw: Record<string, unknown>;
  /** Who said what stands at this path; undefined when nobody did (a default). */
  originOf(path: Path): Origin | undefined;
}

/** Later layers win: section keys one by one, lists and maps as a whole. */
export function merge(layers: readonly Layer[]): Merged {
  const raw: Record<string, unknown> = {};
  const owners = new Map<string, Entry>();
  for (const entry of layers.flatMap(({ entries }) => entries)) {
    let target = raw;
    entry.path.slice(0, -1).forEach((key) => {
      if (!isMapping(target[key])) target[key] = {};
      target = target[key] as Record<string, unknown>;
    });
    target[entry.path.at(-1)!] = entry.value;
    owners.set(keyOf(entry.path), entry);
  }
  return {
    raw,
    originOf: (path) => {
      for (let length = path.length; length > 0; length--) {
        const owner = owners.get(keyOf(path.slice(0, length)));
        if (owner !== undefined) return owner.originOf(path);
      }
      return undefined;
    },
  };
}

/** What stands at a path of raw data; undefined where nothing does. */
export function valueAt(raw: unknown, path: Path): unknown {
  let value = raw;
  for (const step of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, step)) return undefined;
    value = (value as Record<string | number, unknown>)[step];
  }
  return value;
}

export function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const keyOf = (path: Path) => path.join("\u0000");
const isContainer = (node: Node) => ["section", "list", "map"].includes(node.kind);

function hasForbiddenKey(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  return Object.hasOwn(value, "__proto__") || Object.values(value).some(hasForbiddenKey);
}
