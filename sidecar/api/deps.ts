/** What the sidecar's HTTP API stands on; everything is handed in, nothing is looked up. */
import type { Config } from "../../config/schema.js";
import type { GateRequest } from "../../core/contract/internal-api.js";
import type { TaskWhy } from "../../core/contract/tasks.js";
import type { Clock } from "../../core/runtime/clock.js";
import type { Logger } from "../../core/runtime/logger.js";
import type { ResultCache } from "../cache/result-cache.js";
import type { HealthCheck } from "../health.js";
import type { SidecarMetrics } from "../metrics.js";
import type { ModelCatalogue } from "../models/catalogue.js";
import type { Presence } from "../models/presence.js";
import type { BlobStore, TaskRow, TaskStore } from "../tasks/store.js";
import type { CallbackStore } from "../tasks/upkeep-store.js";

export interface AppDeps {
  readonly store: TaskStore;
  readonly blobs: BlobStore;
  /** Default: no task has a callback. */
  readonly callbacks?: Pick<CallbackStore, "stateOf">;
  /** Default: nothing is answered from earlier answers. */
  readonly cache?: ResultCache;
  readonly catalogue: ModelCatalogue;
  readonly presence: Presence;
  readonly gate: {
    /** Resolves with the release when the request may pass; rejects when it may not, or when the signal aborts. */
    acquire(request: GateRequest, signal: AbortSignal): Promise<() => void>;
  };
  /** Asks the model server to end a running training. */
  readonly cancelTraining: (task: TaskRow) => Promise<{ accepted: boolean; message: string }>;
  /** Called when a task is on its way to the disk; see the dispatcher. */
  readonly anticipate: (model: string, className: string, priority: number, arriving: Promise<unknown>) => void;
  /** Called after a task became durable, so that it starts at once. */
  readonly wake: (task: TaskRow) => void;
  /** Seconds until a waiting task starts, about; null when nothing is known. */
  readonly estimateSeconds: (task: TaskRow, position: number) => number | null;
  /** What a task waits for, in words; null when there is no such task. */
  readonly why: (uuid: string) => Promise<TaskWhy | null>;
  readonly config: () => Config;
  /** Called after the configuration was replaced. The answer unsubscribes. */
  readonly onConfigChange: (listener: () => void) => () => void;
  /** Parts beyond the store and its folders, by the name `/health` gives them. */
  readonly healthChecks?: Readonly<Record<string, HealthCheck>>;
  /** What is others' to keep well: named by `/health`, but no reason to be unhealthy. */
  readonly outsideChecks?: Readonly<Record<string, HealthCheck>>;
  readonly logger: Logger;
  readonly metrics: SidecarMetrics;
  readonly clock: Clock;
}
