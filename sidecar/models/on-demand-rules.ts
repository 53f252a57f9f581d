/** What a new or changed on-demand configuration says in the end, given what is in force. Pure; run inside the transaction that writes it. */
import { SluiceError } from "../../core/contract/errors.js";
import type { NewOnDemand, OnDemandChange, OnDemandContent } from "./model-store.js";

/** @throws REFERENCE_MISSING, ON_DEMAND_EXISTS */
export function planCreate(wish: NewOnDemand, inForce: OnDemandContent | null): OnDemandContent {
  const old = wish.inherit ? inForce : null;
  const modelUri = wish.modelUri ?? old?.modelUri;
  if (modelUri === undefined) {
    throw new SluiceError(
      "REFERENCE_MISSING",
      wish.inherit
        ? `model_uri is required: model '${wish.modelName}' has no configuration to take it from`
        : `model_uri is required: with inherit_config false nothing is taken over for model '${wish.modelName}'`,
    );
  }
  if (inForce !== null && !wish.replace) {
    throw new SluiceError(
      "ON_DEMAND_EXISTS",
      `an enabled configuration of model '${wish.modelName}' already exists, and replace_enabled is false`,
    );
  }
  return {
    modelUri,
    trackingId: trackingIdOf(wish, old),
    idleTtlSeconds: wish.idleTtlSeconds ?? old?.idleTtlSeconds ?? wish.defaultIdleTtlSeconds,
    description: wish.description ?? old?.description ?? null,
    deploy: isEmpty(wish.deploy) ? null : (wish.deploy ?? old?.deploy ?? null),
  };
}

export function planUpdate(change: OnDemandChange, old: OnDemandContent): OnDemandContent {
  const { clear } = change;
  return {
    modelUri: change.modelUri ?? old.modelUri,
    trackingId: clear.trackingId ? null : trackingIdOf(change, old),
    idleTtlSeconds: clear.idleTtl ? change.defaultIdleTtlSeconds : (change.idleTtlSeconds ?? old.idleTtlSeconds),
    description: clear.description ? null : (change.description ?? old.description),
    deploy: clear.deploy ? null : (change.deploy ?? old.deploy),
  };
}

/** Another URI is another run's: the old id would name the wrong one. */
function trackingIdOf(
  { modelUri, trackingId }: Pick<NewOnDemand, "modelUri" | "trackingId">,
  old: OnDemandContent | null,
): string | null {
  if (trackingId !== null) return trackingId === "" ? null : trackingId;
  return modelUri === null || modelUri === old?.modelUri ? (old?.trackingId ?? null) : null;
}

function isEmpty(deploy: object | null): boolean {
  return deploy !== null && Object.keys(deploy).length === 0;
}
