/** What must hang together across keys. Pure; takes settings that are half right too, so that every fault comes at once. */
import { isRegistryUri } from "../core/contract/registry.js";
import { DEFAULT_CLASSES } from "./sections/work.js";

export interface Inconsistency {
  readonly path: (string | number)[];
  readonly message: string;
}

/** Settings as written or as parsed: nothing in them can be relied on. */
interface Loose {
  readonly [key: string]: Loose | undefined;
}

const PLAIN_NAME = /^[\w.-]{1,64}$/;

export function findInconsistencies(settings: unknown): Inconsistency[] {
  const config = settings as Loose;
  return [
    ...namesTwice(config),
    ...doorsTwice(config),
    ...nothingToFollow(config),
    ...missingClasses(config),
    ...crossedBounds(config),
    ...outOfBounds(config),
  ];
}

function namesTwice(config: Loose): Inconsistency[] {
  const seen = new Set<unknown>();
  return ["static", "process"].flatMap((source) =>
    items(config.discovery?.[source]).flatMap((entry, index) => {
      const name: unknown = entry?.name;
      const twice = typeof name === "string" && seen.has(name);
      seen.add(name);
      return twice ? [{ path: ["discovery", source, index, "name"], message: `the name '${name}' is used twice` }] : [];
    }),
  );
}

function doorsTwice(config: Loose): Inconsistency[] {
  const seen = new Set<string>();
  return items(config.proxy?.aliases).flatMap((alias, index) => {
    return (["port", "host"] as const).flatMap((key) => {
      const door: unknown = alias?.[key];
      // Port 0 is a different free one each time.
      if ((typeof door !== "string" && typeof door !== "number") || door === 0) return [];
      const path = ["proxy", "aliases", index, key];
      if (key === "port" && door === (config.proxy?.port as unknown))
        return [{ path, message: "is proxy.port itself" }];
      const name = `${key} '${String(door).toLowerCase()}'`;
      const twice = seen.has(name);
      seen.add(name);
      return twice ? [{ path, message: `the ${name} is used twice` }] : [];
    });
  });
}

function nothingToFollow(config: Loose): Inconsistency[] {
  return items(config.discovery?.process).flatMap((entry, index) => {
    const [uri, follow]: unknown[] = [entry?.model_uri, entry?.follow];
    if (typeof follow !== "string" || (typeof uri === "string" && isRegistryUri(uri))) return [];
    const message = `needs a model_uri of the registry, such as sluice://<model>/${follow}`;
    return [{ path: ["discovery", "process", index, "follow"], message }];
  });
}

function missingClasses(config: Loose): Inconsistency[] {
  const classes = { ...DEFAULT_CLASSES, ...mapping(config.scheduler?.classes) };
  return Object.entries(mapping(config.scheduler?.routes)).flatMap(([route, rule]) => {
    const name: unknown = rule?.class;
    if (typeof name !== "string" || Object.hasOwn(classes, name)) return [];
    const path = ["scheduler", "routes", route, "class"];
    // Text that is no name may be a secret that slipped into the wrong place: it is not repeated.
    const named = PLAIN_NAME.test(name) ? `no class '${name}'` : "no class of that name";
    return [{ path, message: `there is ${named} in scheduler.classes` }];
  });
}

function crossedBounds(config: Loose): Inconsistency[] {
  return Object.entries(mapping(config.scheduler?.classes)).flatMap(([name, each]) => {
    const [low, high] = items(each?.bounds) as unknown[];
    if (typeof low !== "number" || typeof high !== "number" || low <= high) return [];
    const path = ["scheduler", "classes", name, "bounds"];
    return [{ path, message: "the first bound must not be above the second" }];
  });
}

/** A class's own priority is not clamped: what asks for nothing would stand where nobody may ask to stand. */
function outOfBounds(config: Loose): Inconsistency[] {
  return Object.entries(mapping(config.scheduler?.classes)).flatMap(([name, each]) => {
    const [low, high] = items(each?.bounds) as unknown[];
    const priority: unknown = each?.priority;
    if (typeof low !== "number" || typeof high !== "number" || typeof priority !== "number") return [];
    if (low > high || (priority >= low && priority <= high)) return [];
    const path = ["scheduler", "classes", name, "priority"];
    return [{ path, message: `must be within the class's own bounds, ${low} to ${high}` }];
  });
}

const items = (value: unknown): (Loose | undefined)[] => (Array.isArray(value) ? value : []);
const mapping = (value: unknown): Record<string, Loose | undefined> =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, Loose>) : {};
