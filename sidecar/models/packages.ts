/**
 * Model packages out of the registry: what `sluice://<model>/<number|latest|alias>` means now, and the file of it. Other schemes are
 * the model server's own business.
 */
import { type ErrorCode, SluiceError } from "../../core/contract/errors.js";
import { isRegistryUri, readRegistryUri, registryUri } from "../../core/contract/registry.js";
import type { Registry } from "../registry/registry.js";
import { type Pin, pinOf } from "./pin.js";

export interface Package extends Pin {
  /** On this host; read-only, and checked against its hash a short while ago at most. */
  readonly file: string;
}

export interface Packages {
  /**
   * The version that a URI means at this moment; null for another scheme. Not looked at: whether it can be deployed.
   * @throws INVALID_PARAMETER, REGISTRY_MODEL_UNKNOWN, REGISTRY_VERSION_UNKNOWN, REGISTRY_ALIAS_UNKNOWN
   */
  pin(modelUri: string): Pin | null;
  /**
   * The version that a URI means now, with its file; null for another scheme.
   * @throws as {@link pin}; VERSION_TRANSIENT, VERSION_DAMAGED
   */
  resolve(modelUri: string): Promise<Package | null>;
  /** Whether a model has no version at all yet, or is not there. */
  isEmpty(modelId: string): boolean;
}

/** @param registry null where there is none: nothing can be deployed from it */
export function createPackages(registry: Registry | null): Packages {
  function pin(modelUri: string): Pin | null {
    if (!isRegistryUri(modelUri)) return null;
    const { modelId, version } = readRegistryUri(modelUri);
    if (registry === null) throw new SluiceError("REFERENCE_UNKNOWN", "there is no model registry here");
    const { versionNumber } = registry.resolve(modelId, version);
    return pinOf(registryUri({ modelId, version: versionNumber }));
  }

  return {
    pin,
    async resolve(modelUri) {
      const pinned = pin(modelUri);
      if (pinned === null) return null;
      return { ...pinned, file: await registry!.packageFile(pinned.modelId, pinned.versionNumber) };
    },
    isEmpty: (modelId) => {
      try {
        return registry === null || registry.latest(modelId) === null;
      } catch {
        return true;
      }
    },
  };
}

const UNKNOWN: ReadonlySet<ErrorCode> = new Set([
  "REGISTRY_MODEL_UNKNOWN",
  "REGISTRY_VERSION_UNKNOWN",
  "REGISTRY_ALIAS_UNKNOWN",
]);

/** As whoever deploys it is told: what is not there is an unknown reference, in the registry's own words. */
export function asReferenceError(caught: unknown): unknown {
  if (!(caught instanceof SluiceError) || !UNKNOWN.has(caught.code)) return caught;
  return new SluiceError("REFERENCE_UNKNOWN", caught.message, { hint: caught.hint!, cause: caught });
}
