/** On-demand configurations and deployments as tests write them down. */
import type { OnDemandCreate, OnDemandUpdate } from "../../../core/contract/model-management.js";
import type { Deployment, NewOnDemand, OnDemandChange } from "../../../sidecar/models/model-store.js";

export function newOnDemand(change: Partial<NewOnDemand> = {}): NewOnDemand {
  return {
    modelName: "m",
    modelUri: "models:/m/1",
    trackingId: null,
    idleTtlSeconds: null,
    defaultIdleTtlSeconds: 3_600,
    description: null,
    deploy: null,
    follow: null,
    replace: true,
    inherit: true,
    ...change,
  };
}

export function onDemandChange(change: Partial<OnDemandChange> = {}): OnDemandChange {
  return {
    modelUri: null,
    trackingId: null,
    idleTtlSeconds: null,
    defaultIdleTtlSeconds: 3_600,
    description: null,
    deploy: null,
    follow: null,
    ...change,
    clear: { trackingId: false, idleTtl: false, description: false, deploy: false, ...change.clear },
  };
}

export function sampleDeployment(change: Partial<Deployment> = {}): Deployment {
  return {
    name: "m",
    deploymentType: "manual",
    modelUri: "models:/m/1",
    modelType: null,
    trackingId: null,
    ttlSeconds: 86_400,
    idleTtlSeconds: null,
    deploy: null,
    createdAtMs: 1_000,
    ...change,
  };
}

/** As CMG's defaults fill a request in. */
export function createRequest(given: Partial<OnDemandCreate> = {}): OnDemandCreate {
  return {
    model_name: "m",
    model_uri: null,
    tracking_id: null,
    idle_ttl: null,
    description: null,
    deploy: null,
    follow: null,
    replace_enabled: true,
    inherit_config: true,
    ...given,
  };
}

export function updateRequest(given: Partial<OnDemandUpdate> = {}): OnDemandUpdate {
  return {
    model_uri: null,
    tracking_id: null,
    idle_ttl: null,
    description: null,
    deploy: null,
    follow: null,
    clear_tracking_id: false,
    clear_idle_ttl: false,
    clear_description: false,
    clear_deploy: false,
    ...given,
  };
}
