/** What operators do with models. The API and the command see deployments and on-demand configurations through this interface. */
import type { Readable } from "node:stream";
import type {
  Deployed,
  DeployRequest,
  ModelEvent,
  OnDemandConfig,
  OnDemandCreate,
  OnDemandUpdate,
} from "../../core/contract/model-management.js";
import type { DeploymentType, ModelEntry } from "../../core/contract/models.js";
import type { RolloutState } from "./rollout-state.js";

export interface ModelManagement {
  readonly onDemand: OnDemandConfigs;
  /**
   * Starts a model server by hand; resolves when its program runs, ready or not.
   * @throws MODEL_NAME_INVALID, REFERENCE_MISSING, REFERENCE_UNKNOWN, MODEL_ALREADY_RUNNING, TTL_FORBIDDEN, TTL_TOO_LONG, DEPLOY_FAILED
   */
  deploy(name: string, request: DeployRequest): Promise<Deployed>;
  /**
   * Drains, stops and forgets a deployment, or a container of the project.
   * @param force also one that does not run, or that nobody knows; never one that is held
   * @throws MODEL_NAME_INVALID, MODEL_UNKNOWN, MODEL_IN_USE while something goes on holding it, DEPLOY_FAILED when its driver refuses
   */
  remove(name: string, force: boolean): Promise<void>;
  /** Begins a start, or finds it running. @throws MODEL_UNKNOWN, MODEL_NOT_MANAGED */
  start(name: string): ModelEntry;
  /**
   * Stops it at the first moment at which nothing holds it: no lease, no task, no proxy. Its configuration stays.
   * @param waitMs how long to wait for that moment, from 0; default 30_000
   * @throws MODEL_UNKNOWN, MODEL_NOT_MANAGED, MODEL_IN_USE, DOCKER_UNAVAILABLE, DEPLOY_FAILED when its driver refuses
   */
  stop(name: string, waitMs?: number): Promise<ModelEntry>;
  /** The model server's own output, newest last. @throws MODEL_UNKNOWN, MODEL_NOT_MANAGED */
  logs(name: string, options: LogOptions): Promise<Readable>;
  /** The present state at once, then every change. Null: of all models. The answer unsubscribes. */
  watch(name: string | null, listener: (event: ModelEvent) => void): () => void;
  /** What is known of a model beyond its entry. */
  facts(name: string): ModelFacts | null;
}

export interface ModelFacts {
  readonly deploymentType: DeploymentType;
  /** Of its on-demand configuration. */
  readonly description: string | null;
  /** Null: never stopped for idleness. */
  readonly idleTtlSeconds: number | null;
  /** Epoch ms; null: for ever. */
  readonly expiresAtMs: number | null;
  /** Null where it follows no version. */
  readonly rollout: RolloutState | null;
}

export interface LogOptions {
  /** Lines of the past, 0 to 10_000. */
  readonly tail: number;
  readonly follow: boolean;
  readonly signal: AbortSignal;
}

/** CMG's `/admin/on-demand`. A running model is not touched by any of it: a change counts from its next start. */
export interface OnDemandConfigs {
  /** By name, then newest first. */
  list(includeDisabled: boolean): OnDemandConfig[];
  /** @throws ON_DEMAND_UNKNOWN */
  get(name: string): OnDemandConfig;
  /** All versions, newest first. @throws ON_DEMAND_UNKNOWN */
  history(name: string): OnDemandConfig[];
  /** @throws MODEL_NAME_INVALID, REFERENCE_MISSING, REFERENCE_UNKNOWN, ON_DEMAND_EXISTS */
  create(request: OnDemandCreate): Promise<OnDemandConfig>;
  /** @throws ON_DEMAND_UNKNOWN, REFERENCE_MISSING, REFERENCE_UNKNOWN */
  update(name: string, request: OnDemandUpdate): Promise<OnDemandConfig>;
  /** Keeps the versions; none is enabled any more. @throws ON_DEMAND_UNKNOWN */
  disable(name: string): Promise<void>;
  /** @throws ON_DEMAND_UNKNOWN */
  enable(id: number): Promise<OnDemandConfig>;
}
