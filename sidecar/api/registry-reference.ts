/** Which model and version a path means. */
import { SluiceError } from "../../core/contract/errors.js";
import {
  checkModelId,
  isVersionReference,
  type RegistryModel,
  shownId,
  type VersionInfo,
} from "../../core/contract/registry.js";
import type { Registry } from "../registry/registry.js";
import { modelUnknown } from "../registry/version-rules.js";

export interface OfRegistryModel {
  Params: { model: string };
}

export interface OfVersion {
  Params: { model: string; version: string };
}

/** @throws REGISTRY_ID_INVALID, REGISTRY_MODEL_UNKNOWN */
export function knownModel(registry: Registry, modelId: string): RegistryModel {
  checkModelId(modelId);
  const model = registry.model(modelId);
  if (model === null) throw modelUnknown(modelId);
  return model;
}

/** By number, `latest` or alias. @throws REGISTRY_ID_INVALID, REGISTRY_MODEL_UNKNOWN, REGISTRY_VERSION_UNKNOWN, REGISTRY_ALIAS_UNKNOWN */
export function versionOf(registry: Registry, { model, version }: OfVersion["Params"]): VersionInfo {
  knownModel(registry, model);
  if (!isVersionReference(version)) {
    throw new SluiceError("REGISTRY_VERSION_UNKNOWN", `${shownId(version)} is no version of ${shownId(model)}`, {
      hint: "Name a number from 1 up, 'latest' or an alias.",
    });
  }
  return registry.resolve(model, /^\d+$/.test(version) ? Number(version) : version);
}

/** Where a version is found. */
export function versionPath({ modelId, versionNumber }: Pick<VersionInfo, "modelId" | "versionNumber">): string {
  return `/registry/models/${encodeURIComponent(modelId)}/versions/${versionNumber}`;
}
