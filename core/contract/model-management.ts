/** What is said on the wire of deployments and on-demand configurations: CogStack Model Gateway's shapes, and ours beside them. */

/** Amounts as CMG's clients write them: `512m`, `2g`; `0.5`. */
export interface ResourceAmounts {
  readonly memory?: string;
  /** Decimal number of processors. */
  readonly cpus?: string;
}

export interface ReservedAmounts extends ResourceAmounts {
  /** `all`, or how many; Sluice's own. */
  readonly gpus?: "all" | number;
}

export interface DeploySpec {
  readonly resources?: { readonly limits?: ResourceAmounts; readonly reservations?: ReservedAmounts };
}

/** A version of an on-demand configuration; members without a value are left out. */
export interface OnDemandConfig {
  readonly id: number;
  readonly model_name: string;
  readonly model_uri: string;
  readonly tracking_id?: string;
  /** Seconds, above 0. */
  readonly idle_ttl: number;
  readonly description?: string;
  readonly enabled: boolean;
  /** UTC, ISO 8601, microseconds, `+00:00`. */
  readonly created_at: string;
  readonly updated_at: string;
  readonly deploy?: DeploySpec;
  /** Sluice's own; absent: false. */
  readonly follow?: true;
}

/** What MLflow knows of a model's URI; CMG's seven keys. */
export interface ModelTracking {
  readonly uuid: string;
  readonly run_id: string;
  readonly artifact_path: string;
  /** As MLflow wrote it: `2026-01-02 03:04:05.678901`. */
  readonly utc_time_created: string;
  readonly mlflow_version: string;
  /** `{}` where the model has none. */
  readonly signature: Readonly<Record<string, unknown>>;
  readonly flavors: Readonly<Record<string, unknown>>;
}

export interface OnDemandCreate {
  readonly model_name: string;
  readonly model_uri: string | null;
  readonly tracking_id: string | null;
  readonly idle_ttl: number | null;
  readonly description: string | null;
  readonly deploy: DeploySpec | null;
  /** A running server is replaced when `latest` or the alias in model_uri means another version; null: as it is. */
  readonly follow: boolean | null;
  readonly replace_enabled: boolean;
  readonly inherit_config: boolean;
}

export interface OnDemandUpdate {
  readonly model_uri: string | null;
  readonly tracking_id: string | null;
  readonly idle_ttl: number | null;
  readonly description: string | null;
  readonly deploy: DeploySpec | null;
  readonly follow: boolean | null;
  readonly clear_tracking_id: boolean;
  readonly clear_idle_ttl: boolean;
  readonly clear_description: boolean;
  readonly clear_deploy: boolean;
}

export interface DeployRequest {
  readonly tracking_id: string | null;
  readonly model_uri: string | null;
  /** Seconds; -1: for ever; null: `models.deployment.manual.default_ttl`. */
  readonly ttl: number | null;
}

export interface Deployed {
  readonly message: string;
  readonly model_uri: string;
  /** Docker's id, or `process-<pid>`. */
  readonly container_id: string;
  readonly container_name: string;
  /** Seconds, as applied; -1: for ever. */
  readonly ttl: number;
}

/** One thing that happened to a model server, on `/admin/models/<name>/events`. */
export interface ModelEvent {
  readonly model: string;
  readonly at: string;
  readonly state: string;
  /** Why it is `failed` or `unreachable`; what it waits for while `starting`. */
  readonly problem: string | null;
  /** While `starting`: how long since the start, and how long past starts took (the longest known), in seconds; null when unknown. */
  readonly started_seconds: number | null;
  readonly expected_seconds: number | null;
}
