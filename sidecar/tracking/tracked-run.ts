/** A run as MLflow keeps it, whoever tells of it: MLflow's REST API 2.0 or a model server's `train_eval_info`. Pure. */

const RUN_STATUSES = ["RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED"] as const;
export type RunStatus = (typeof RUN_STATUSES)[number];

export interface TrackedRun {
  readonly runId: string;
  readonly runName: string;
  readonly experimentId: string;
  /** A word nobody knows counts as RUNNING: it is not final. */
  readonly status: RunStatus;
  readonly startedAtMs: number | null;
  readonly endedAtMs: number | null;
  readonly artifactUri: string;
  readonly lifecycleStage: string;
  /** The last value of each; those that are no finite numbers are left out. */
  readonly metrics: Readonly<Record<string, number>>;
  readonly params: Readonly<Record<string, string>>;
  readonly tags: Readonly<Record<string, string>>;
}

export function isRunFinal({ status }: TrackedRun): boolean {
  return status === "FINISHED" || status === "FAILED" || status === "KILLED";
}

/** True when a model was saved by this run (reference cms-api 2.7). */
export function hasOutput({ tags }: TrackedRun): boolean {
  return Object.keys(tags).some((name) => name.startsWith("training.output."));
}

type Loose = Readonly<Record<string, unknown>>;

/**
 * Reads `{info, data: {metrics, params, tags}}`.
 * @throws Error when it is no run at all
 */
export function readMlflowRun(value: unknown): TrackedRun {
  const { info, data } = mapping(value);
  const { metrics, params, tags } = mapping(data);
  return {
    ...readInfo(mapping(info), pairs(tags)),
    metrics: finite(items(metrics).map((each) => [each.key, each.value])),
    params: pairs(params),
    tags: pairs(tags),
  };
}

/**
 * Reads one element of `train_eval_info`: the info with its tags beside it (reference cms-api 2.4).
 * @throws Error when it is no run at all
 */
export function readCmsRun(value: unknown): TrackedRun {
  const info = mapping(value);
  const tags = texts(Object.entries(mapping(info.tags)));
  return { ...readInfo(info, tags), metrics: {}, params: {}, tags };
}

/** The last value of each metric of one element of `train_eval_metrics`; lists that are no numbers are left out. */
export function readCmsMetrics(value: unknown): Record<string, number> {
  const last = Object.entries(mapping(value)).map(([name, values]) => [
    name,
    Array.isArray(values) ? values.at(-1) : values,
  ]);
  return finite(last as [unknown, unknown][]);
}

/** Reads a list of `{key, value}`; what is no pair of texts is left out. */
export function readTags(value: unknown): Record<string, string> {
  return pairs(value);
}

function readInfo(
  info: Loose,
  tags: Readonly<Record<string, string>>,
): Omit<TrackedRun, "metrics" | "params" | "tags"> {
  const runId = info.run_id ?? info.run_uuid;
  if (typeof runId !== "string" || runId === "") throw new Error("a run without run_id");
  return {
    runId,
    runName: textOf(info.run_name) ?? tags["mlflow.runName"] ?? "",
    experimentId: textOf(info.experiment_id) ?? "",
    status: RUN_STATUSES.find((status) => status === info.status) ?? "RUNNING",
    startedAtMs: timeOf(info.start_time),
    endedAtMs: timeOf(info.end_time),
    artifactUri: textOf(info.artifact_uri) ?? "",
    lifecycleStage: textOf(info.lifecycle_stage) ?? "active",
  };
}

/** MLflow's 64-bit numbers come as numbers or as text, by its version. */
function timeOf(value: unknown): number | null {
  const ms = typeof value === "string" && value !== "" ? Number(value) : value;
  // Zero is what protocol buffers leave where there is no time; beyond the bound JavaScript has no date.
  return typeof ms === "number" && Number.isFinite(ms) && ms > 0 && ms < 8.64e15 ? ms : null;
}

function textOf(value: unknown): string | null {
  return typeof value === "string" || typeof value === "number" ? String(value) : null;
}

function mapping(value: unknown): Loose {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Loose) : {};
}

function items(value: unknown): Loose[] {
  return Array.isArray(value) ? value.map(mapping) : [];
}

function pairs(value: unknown): Record<string, string> {
  return texts(items(value).map((each) => [each.key, each.value]));
}

function texts(entries: readonly (readonly [unknown, unknown])[]): Record<string, string> {
  return fromEntries(
    entries.filter((each): each is [string, string] => typeof each[0] === "string" && typeof each[1] === "string"),
  );
}

function finite(entries: readonly (readonly [unknown, unknown])[]): Record<string, number> {
  return fromEntries(
    entries.filter((each): each is [string, number] => typeof each[0] === "string" && Number.isFinite(each[1])),
  );
}

/** Own members only, whatever the names: `__proto__` is a name like any other. */
function fromEntries<Value>(entries: readonly (readonly [string, Value])[]): Record<string, Value> {
  return Object.fromEntries(entries);
}
