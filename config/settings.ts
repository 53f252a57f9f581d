/**
 * The schema seen as a tree of settings: what the environment, the merging, the masking, the reference page and the reload rules
 * need to know about it. The only file that looks inside zod.
 */
import { z } from "zod";
import { configSchema } from "./schema.js";

/** `section`: fixed keys, merged key by key. `list` and `map` (free keys) are replaced as a whole by a later source. */
export type SettingKind =
  | "section"
  | "list"
  | "map"
  | "text"
  | "number"
  | "boolean"
  | "choice"
  | "duration"
  | "size"
  | "mixed";

export interface Node {
  readonly kind: SettingKind;
  readonly nullable: boolean;
  readonly secret: boolean;
  readonly description: string | undefined;
  /** As an operator would write it; undefined when the key must be given. */
  readonly default: unknown;
  /** Whole numbers only. */
  readonly whole: boolean;
  readonly minimum: number | undefined;
  readonly maximum: number | undefined;
  /** The allowed words of a choice, or of a mixed value beside true and false, or beside a number. */
  readonly choices: readonly string[];
  /** Of a mixed value: numbers, in place of true and false. */
  readonly takesNumber: boolean;
  /** Of a section: its keys. */
  readonly children: ReadonlyMap<string, Node>;
  /** Of a list or map: what each entry is. */
  readonly element: Node | undefined;
}

/** One key an operator can set. */
export interface Setting {
  /** Keys from the root; `[]` stands for any entry of a list, `<name>` for any key of a map. */
  readonly path: readonly string[];
  readonly node: Node;
  /** The variable that sets it; null for keys inside lists and maps. */
  readonly env: string | null;
}

/** Changes of these (and of whatever lies below them) are taken over without a restart. */
export const RELOADABLE: readonly string[] = [
  "discovery.static",
  "discovery.process",
  "discovery.probe_interval",
  "discovery.recheck_interval",
  "proxy.aliases",
  "scheduler.ageing",
  "scheduler.max_concurrent_tasks",
  "scheduler.classes",
  "scheduler.routes",
  "scheduler.tenants",
  "scheduler.lost_after",
  "scheduler.training_limit",
  "scheduler.queue.max_tasks",
  "scheduler.queue.max_bytes",
  "tasks.cancel_on_hang_up",
  "models.rate_limit",
  "models.logs_over_http",
  "models.deployment.driver",
  "models.deployment.process",
  "models.deployment.auto.default_idle_ttl",
  "models.deployment.auto.max_concurrent_deployments",
  "models.deployment.auto.deployment_retry_attempts",
  "models.deployment.auto.require_model_uri_validation",
  "models.deployment.manual",
  "models.deployment.memory",
  "models.deployment.never_together",
  "ripper.interval",
  "results.retention",
  "results.max_bytes",
  "results.cache.enabled",
  "results.cache.max_age",
  "callbacks.url",
  "callbacks.secret",
  "registry.cache_max_items",
  "registry.cache_max_bytes",
  "registry.sent_version_chunk_size",
  "registry.max_version_size",
  "registry.log_level",
  "log.level",
];

interface ZodDef {
  readonly type: string;
  readonly innerType?: z.ZodType;
  readonly in?: z.ZodType;
  readonly shape?: Record<string, z.ZodType>;
  readonly element?: z.ZodType;
  readonly items?: readonly z.ZodType[];
  readonly valueType?: z.ZodType;
  readonly options?: readonly z.ZodType[];
  readonly entries?: Record<string, string>;
  readonly values?: readonly unknown[];
  readonly defaultValue?: unknown;
}

interface Meta {
  readonly description?: string;
  readonly secret?: boolean;
  readonly unit?: "duration" | "size";
}

const defOf = (schema: z.ZodType) => schema._zod.def as unknown as ZodDef;

function describe(schema: z.ZodType): Node {
  let inner = schema;
  let meta: Meta = {};
  let nullable = false;
  let given: unknown;
  for (;;) {
    meta = { ...((z.globalRegistry.get(inner) as Meta | undefined) ?? {}), ...meta };
    const def = defOf(inner);
    if (def.type === "nullable") nullable = true;
    if (def.type === "default" || def.type === "prefault") given = given === undefined ? def.defaultValue : given;
    const next = def.innerType ?? (def.type === "pipe" ? def.in : undefined);
    if (next === undefined) break;
    inner = next;
  }
  const def = defOf(inner);
  const shape = Object.entries(def.shape ?? {}).map(([key, child]) => [key, describe(child)] as const);
  const element = def.element ?? def.valueType ?? def.items?.[0];
  const bounds = inner as { minValue?: number | null; maxValue?: number | null; format?: string | null };
  return {
    kind: meta.unit ?? kindOf(def.type),
    nullable,
    secret: meta.secret === true,
    description: meta.description,
    default: given,
    whole: bounds.format === "safeint",
    minimum: def.type === "number" && Number.isFinite(bounds.minValue) ? bounds.minValue! : undefined,
    maximum:
      def.type === "number" && (bounds.maxValue ?? Number.POSITIVE_INFINITY) < Number.MAX_SAFE_INTEGER
        ? bounds.maxValue!
        : undefined,
    choices: choicesOf(def),
    takesNumber: (def.options ?? []).some((option) => defOf(option).type === "number"),
    children: new Map(shape),
    element: element === undefined ? undefined : describe(element),
  };
}

const KINDS: Readonly<Record<string, SettingKind>> = {
  object: "section",
  array: "list",
  tuple: "list",
  record: "map",
  string: "text",
  number: "number",
  boolean: "boolean",
  enum: "choice",
  literal: "choice",
  union: "mixed",
};

function kindOf(type: string): SettingKind {
  const kind = KINDS[type];
  if (kind === undefined) throw new Error(`config/settings.ts does not know the zod type '${type}'`);
  return kind;
}

function choicesOf(def: ZodDef): string[] {
  if (def.type === "enum") return Object.values(def.entries ?? {});
  if (def.type === "literal") return (def.values ?? []).map(String);
  return (def.options ?? []).flatMap((option) => choicesOf(defOf(option)));
}

/** The whole tree. */
export const ROOT: Node = describe(configSchema);

/** The node at a path of keys and positions as they stand in a file; undefined where there is none. */
export function nodeAt(path: readonly (string | number)[], from: Node = ROOT): Node | undefined {
  let node: Node | undefined = from;
  for (const step of path) {
    if (node === undefined) return undefined;
    node = node.kind === "section" ? node.children.get(String(step)) : node.element;
  }
  return node;
}

/** True when the value at this path must never be shown: it, or something above it, is a secret. */
export function isSecret(path: readonly (string | number)[]): boolean {
  return path.some((_, index) => nodeAt(path.slice(0, index + 1))?.secret === true);
}

/** Every setting, sections included, in the schema's order. */
export const SETTINGS: readonly Setting[] = listSettings(ROOT, []);

function listSettings(node: Node, path: readonly string[]): Setting[] {
  const inside = path.some((step) => step === "[]" || step === "<name>");
  const own: Setting = { path, node, env: inside || path.length === 0 ? null : envName(path) };
  const step = node.kind === "list" ? "[]" : "<name>";
  const below =
    node.kind === "section"
      ? [...node.children].flatMap(([key, child]) => listSettings(child, [...path, key]))
      : node.element?.kind === "section"
        ? listSettings(node.element, [...path, step]).slice(1)
        : [];
  return path.length === 0 ? below : [own, ...below];
}

/** `proxy.port` → `SLUICE_PROXY_PORT`. */
export function envName(path: readonly string[]): string {
  return `SLUICE_${path.join("_").toUpperCase()}`;
}

/** `discovery.static[0].url` from its keys and positions. */
export function formatPath(path: readonly (string | number)[]): string {
  return path.map((step, index) => (typeof step === "number" ? `[${step}]` : index === 0 ? step : `.${step}`)).join("");
}
