/**
 * Which requests are light and which are heavy, and the tasks CogStack Model Gateway names.
 * Pure: a request's path and method in, a decision out. The table can be changed in `scheduler.routes`.
 */

/** - `light`: straight through · `queue`: written down, then run in order · `gate`: waits for a permit, then straight through */
export const ROUTE_MODES = ["light", "queue", "gate"] as const;
export type RouteMode = (typeof ROUTE_MODES)[number];

export interface RouteRule {
  readonly mode: RouteMode;
  readonly class: string;
}

/** Path below the model's base without leading slash → rule. A trailing `*` matches the rest of the path. POST only. */
export type RouteTable = Readonly<Record<string, RouteRule>>;

export const DEFAULT_ROUTES: RouteTable = {
  process_bulk: { mode: "queue", class: "batch" },
  process_bulk_file: { mode: "queue", class: "batch" },
  "sanity-check": { mode: "queue", class: "evaluation" },
  "iaa-scores": { mode: "queue", class: "evaluation" },
  concat_trainer_exports: { mode: "queue", class: "evaluation" },
  "annotation-stats": { mode: "queue", class: "evaluation" },
  preview_trainer_export: { mode: "queue", class: "evaluation" },
  "train_*": { mode: "queue", class: "training" },
  evaluate: { mode: "queue", class: "training" },
  process_jsonl: { mode: "gate", class: "batch" },
  generate: { mode: "gate", class: "interactive" },
  "stream/generate": { mode: "gate", class: "interactive" },
};

/** GET routes whose names match a `train_*` pattern and are light all the same; only POST is ever heavy. */
const LIGHT: RouteRule = { mode: "light", class: "interactive" };

/**
 * The rule for a request to a model server.
 * @param path decoded path below the model's base, with leading slash, without query
 */
export function classify(table: RouteTable, method: string, path: string): RouteRule {
  if (method !== "POST") return LIGHT;
  const name = path.slice(1);
  const exact = table[name];
  if (exact !== undefined && Object.hasOwn(table, name)) return exact;
  for (const pattern in table) {
    if (pattern.endsWith("*") && name.startsWith(pattern.slice(0, -1))) return table[pattern]!;
  }
  return LIGHT;
}

export interface TaskType {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly mediaType: string;
  /** True when the task's id goes to the model server as `tracking_id`. */
  readonly tracked: boolean;
}

const FORM = "multipart/form-data";

/** CMG's 18 tasks in CMG's order (reference cmg-api 1.8). */
export const TASK_TYPES: Readonly<Record<string, TaskType>> = {
  info: { method: "GET", path: "/info", mediaType: "application/json", tracked: false },
  process: { method: "POST", path: "/process", mediaType: "text/plain", tracked: false },
  process_jsonl: { method: "POST", path: "/process_jsonl", mediaType: "application/x-ndjson", tracked: false },
  process_bulk: { method: "POST", path: "/process_bulk", mediaType: "application/json", tracked: false },
  process_bulk_file: { method: "POST", path: "/process_bulk_file", mediaType: FORM, tracked: false },
  redact: { method: "POST", path: "/redact", mediaType: "text/plain", tracked: false },
  redact_with_encryption: {
    method: "POST",
    path: "/redact_with_encryption",
    mediaType: "application/json",
    tracked: false,
  },
  preview: { method: "POST", path: "/preview", mediaType: "text/plain", tracked: false },
  preview_trainer_export: { method: "POST", path: "/preview_trainer_export", mediaType: FORM, tracked: false },
  train_supervised: { method: "POST", path: "/train_supervised", mediaType: FORM, tracked: true },
  train_unsupervised: { method: "POST", path: "/train_unsupervised", mediaType: FORM, tracked: true },
  train_unsupervised_with_hf_hub_dataset: {
    method: "POST",
    path: "/train_unsupervised_with_hf_hub_dataset",
    mediaType: FORM,
    tracked: true,
  },
  train_metacat: { method: "POST", path: "/train_metacat", mediaType: FORM, tracked: true },
  evaluate: { method: "POST", path: "/evaluate", mediaType: FORM, tracked: true },
  "sanity-check": { method: "POST", path: "/sanity-check", mediaType: FORM, tracked: false },
  "iaa-scores": { method: "POST", path: "/iaa-scores", mediaType: FORM, tracked: false },
  concat_trainer_exports: { method: "POST", path: "/concat_trainer_exports", mediaType: FORM, tracked: false },
  "annotation-stats": { method: "POST", path: "/annotation-stats", mediaType: FORM, tracked: false },
};

/** Tasks whose answer depends on nothing but the request and the model: only these are answered from the result cache. */
export const CACHEABLE_TASKS: ReadonlySet<string> = new Set([
  "process",
  "process_jsonl",
  "process_bulk",
  "process_bulk_file",
  "redact",
  "preview",
  "preview_trainer_export",
]);

/** Routes whose `tracking_id` CMS checks only after it has read the whole body: we check it first (reference cms-api 2.3). */
export const TRACKED_PATHS: ReadonlySet<string> = new Set([
  "/process_bulk_file",
  "/v1/embeddings",
  "/train_supervised",
  "/train_unsupervised",
  "/train_unsupervised_with_hf_hub_dataset",
  "/train_metacat",
  "/evaluate",
  "/sanity-check",
  "/iaa-scores",
  "/concat_trainer_exports",
  "/annotation-stats",
  "/preview",
  "/preview_trainer_export",
  "/generate",
  "/stream/generate",
  "/openai/v1/chat/completions",
  "/openai/v1/completions",
  "/openai/v1/embeddings",
]);

/** What CMS really accepts safely: a newline at the end passes CMS's own check and then breaks its answer. */
export const TRACKING_ID = /^[A-Za-z0-9][A-Za-z0-9_-]{0,255}(?![\s\S])/;
