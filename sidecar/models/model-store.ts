/**
 * Where operators' definitions of models live, and how long past starts took. The interface names no database.
 *
 * Every writing call resolves only when the change is durable, and is one transaction: no crash leaves a model between two versions.
 */
import type { DeploySpec } from "../../core/contract/model-management.js";

/** What an on-demand configuration says. */
export interface OnDemandContent {
  readonly modelUri: string;
  readonly trackingId: string | null;
  /** Above 0. */
  readonly idleTtlSeconds: number;
  readonly description: string | null;
  readonly deploy: DeploySpec | null;
  /** A running server is replaced when the version or alias in its URI means another version. */
  readonly follow: boolean;
}

export interface OnDemandVersion extends OnDemandContent {
  readonly id: number;
  readonly modelName: string;
  readonly enabled: boolean;
  /** Epoch microseconds. */
  readonly createdAtUs: number;
  /** Epoch microseconds; grows with every change, also where the clock does not. */
  readonly updatedAtUs: number;
}

/** A new version, its reference resolved. Null members are taken over from the one in force, with `inherit`. */
export interface NewOnDemand {
  readonly modelName: string;
  readonly modelUri: string | null;
  /** Empty: none, also where there is one to inherit. */
  readonly trackingId: string | null;
  readonly idleTtlSeconds: number | null;
  readonly defaultIdleTtlSeconds: number;
  readonly description: string | null;
  /** An empty one: none, also where there is one to inherit. */
  readonly deploy: DeploySpec | null;
  readonly follow: boolean | null;
  readonly replace: boolean;
  readonly inherit: boolean;
}

/** Null members stay as they are; what is cleared is cleared whatever is given. */
export interface OnDemandChange {
  readonly modelUri: string | null;
  /** Empty: none. */
  readonly trackingId: string | null;
  readonly idleTtlSeconds: number | null;
  readonly defaultIdleTtlSeconds: number;
  readonly description: string | null;
  readonly deploy: DeploySpec | null;
  readonly follow: boolean | null;
  readonly clear: {
    readonly trackingId: boolean;
    readonly idleTtl: boolean;
    readonly description: boolean;
    readonly deploy: boolean;
  };
}

/** A model server that somebody deployed, or that was found so labelled. */
export interface Deployment {
  readonly name: string;
  readonly deploymentType: "manual" | "auto";
  readonly modelUri: string | null;
  readonly modelType: string | null;
  readonly trackingId: string | null;
  /** Since its creation; above 0, null: for ever. */
  readonly ttlSeconds: number | null;
  /** Since its last use; above 0, null: for ever. */
  readonly idleTtlSeconds: number | null;
  readonly deploy: DeploySpec | null;
  readonly createdAtMs: number;
}

/** One good start of a model's server. */
export interface StartRecord {
  readonly model: string;
  readonly modelUri: string | null;
  readonly tookMs: number;
  readonly atMs: number;
}

/** What is remembered of a model that follows a version of the registry. */
export interface RolloutMemory {
  readonly model: string;
  /** The place of its present server (`server-slot.ts`). */
  readonly slot: number;
  /** The version that was last ready. */
  readonly keptUri: string | null;
  /** The version that was given up, and why, in words fit for a caller. */
  readonly failedUri: string | null;
  readonly problem: string | null;
}

/** Starts kept of each model. */
export const MAX_STARTS_KEPT = 20;

export interface ModelStore {
  /** By name, then newest first. */
  configs(includeDisabled: boolean): OnDemandVersion[];
  enabledConfig(name: string): OnDemandVersion | null;
  /** All versions of a name, newest first. */
  versions(name: string): OnDemandVersion[];
  /**
   * Puts a new version in force, in place of the one that is.
   * @throws REFERENCE_MISSING, ON_DEMAND_EXISTS
   */
  createConfig(wish: NewOnDemand): Promise<OnDemandVersion>;
  /** Changes the version in force. Null when there is none. */
  updateConfig(name: string, change: OnDemandChange): Promise<OnDemandVersion | null>;
  /** False when none is in force. */
  disableConfig(name: string): Promise<boolean>;
  /** Puts an older version in force, in place of the one that is. Null when there is no such version. */
  enableConfig(id: number): Promise<{ version: OnDemandVersion; changed: boolean } | null>;

  /** By name. */
  deployments(): Deployment[];
  deployment(name: string): Deployment | null;
  /** Keeps it, in place of an older one of that name. */
  putDeployment(deployment: Deployment): Promise<void>;
  /** False when there was none. */
  removeDeployment(name: string): Promise<boolean>;

  rollouts(): RolloutMemory[];
  /** Keeps it, in place of what was remembered. */
  putRollout(memory: RolloutMemory): Promise<void>;
  removeRollout(model: string): Promise<void>;

  /** Newest first, at most {@link MAX_STARTS_KEPT}. */
  starts(model: string): StartRecord[];
  recordStart(start: StartRecord): Promise<void>;
}
