/** What a new or changed on-demand configuration says in the end, given what is in force. Pure; run inside the transaction that writes it. */
import { SluiceError } from "../../core/contract/errors.js";
import { shownId } from "../../core/contract/registry.js";
import type { NewOnDemand, OnDemandChange, OnDemandContent } from "./model-store.js";
import { openReference } from "./pin.js";

/** @throws REFERENCE_MISSING, ON_DEMAND_EXISTS, INVALID_PARAMETER */
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
    follow: follows(wish.follow, modelUri, old),
  };
}

/** @throws INVALID_PARAMETER */
export function planUpdate(change: OnDemandChange, old: OnDemandContent): OnDemandContent {
  const { clear } = change;
  const modelUri = change.modelUri ?? old.modelUri;
  return {
    modelUri,
    trackingId: clear.trackingId ? null : trackingIdOf(change, old),
    idleTtlSeconds: clear.idleTtl ? change.defaultIdleTtlSeconds : (change.idleTtlSeconds ?? old.idleTtlSeconds),
    description: clear.description ? null : (change.description ?? old.description),
    deploy: clear.deploy ? null : (change.deploy ?? old.deploy),
    follow: follows(change.follow, modelUri, old),
  };
}

/** What is not said stays as it is, where the URI leaves something to follow. */
function follows(asked: boolean | null, modelUri: string, old: OnDemandContent | null): boolean {
  const isOpen = openReference(modelUri) !== null;
  if (asked !== true || isOpen) return isOpen && (asked ?? old?.follow ?? false);
  throw new SluiceError("INVALID_PARAMETER", `there is nothing to follow in model_uri ${shownId(modelUri)}`, {
    hint: "Name sluice://<model>/latest or sluice://<model>/<alias>, or leave follow out.",
  });
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
