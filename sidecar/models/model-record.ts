/** Rows of the tables of models, and what they mean. */
import type { DeploySpec } from "../../core/contract/model-management.js";
import type { Deployment, OnDemandVersion } from "./model-store.js";

export interface OnDemandRecord {
  readonly id: number;
  readonly model_name: string;
  readonly model_uri: string;
  readonly tracking_id: string | null;
  readonly idle_ttl_seconds: number;
  readonly description: string | null;
  readonly deploy: string | null;
  readonly follow: 0 | 1;
  readonly enabled: 0 | 1;
  readonly created_at_us: number;
  readonly updated_at_us: number;
}

export interface DeploymentRecord {
  readonly name: string;
  readonly deployment_type: "manual" | "auto";
  readonly model_uri: string | null;
  readonly model_type: string | null;
  readonly tracking_id: string | null;
  readonly ttl_seconds: number | null;
  readonly idle_ttl_seconds: number | null;
  readonly deploy: string | null;
  readonly created_at_ms: number;
}

export function onDemandVersion(record: OnDemandRecord): OnDemandVersion {
  return {
    id: record.id,
    modelName: record.model_name,
    modelUri: record.model_uri,
    trackingId: record.tracking_id,
    idleTtlSeconds: record.idle_ttl_seconds,
    description: record.description,
    deploy: readDeploy(record.deploy),
    follow: record.follow === 1,
    enabled: record.enabled === 1,
    createdAtUs: record.created_at_us,
    updatedAtUs: record.updated_at_us,
  };
}

export function deployment(record: DeploymentRecord): Deployment {
  return {
    name: record.name,
    deploymentType: record.deployment_type,
    modelUri: record.model_uri,
    modelType: record.model_type,
    trackingId: record.tracking_id,
    ttlSeconds: record.ttl_seconds,
    idleTtlSeconds: record.idle_ttl_seconds,
    deploy: readDeploy(record.deploy),
    createdAtMs: record.created_at_ms,
  };
}

export function deploymentRecord(given: Deployment): DeploymentRecord {
  return {
    name: given.name,
    deployment_type: given.deploymentType,
    model_uri: given.modelUri,
    model_type: given.modelType,
    tracking_id: given.trackingId,
    ttl_seconds: given.ttlSeconds,
    idle_ttl_seconds: given.idleTtlSeconds,
    deploy: given.deploy === null ? null : JSON.stringify(given.deploy),
    created_at_ms: Math.round(given.createdAtMs),
  };
}

/** A text that bit rot has damaged limits nothing: it must not keep all the others from being read. */
function readDeploy(text: string | null): DeploySpec | null {
  try {
    return text === null ? null : (JSON.parse(text) as DeploySpec);
  } catch {
    return null;
  }
}
