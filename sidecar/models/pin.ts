/** Which version of a registry's model a run holds, and what may stand for it. Pure. */
import { isRegistryUri, readRegistryUri, registryUri } from "../../core/contract/registry.js";

/** One version, for good: what `latest` or an alias meant when a run was started. */
export interface Pin {
  /** `sluice://<model>/<number>` */
  readonly modelUri: string;
  readonly modelId: string;
  readonly versionNumber: number;
}

/** Of a URI that names a version by its number; null for every other one. */
export function pinOf(modelUri: string | null): Pin | null {
  const parts = partsOf(modelUri);
  if (parts === null || typeof parts.version !== "number") return null;
  return { modelUri: registryUri(parts), modelId: parts.modelId, versionNumber: parts.version };
}

/**
 * Whether what runs with one URI is what a definition with another one names: a definition that leaves the version open is served by
 * any version of its model.
 */
export function isRunOf(definedUri: string | null, runUri: string | null): boolean {
  if ((definedUri ?? "") === (runUri ?? "")) return true;
  const defined = partsOf(definedUri);
  const run = pinOf(runUri);
  if (defined === null || run === null || run.modelId !== defined.modelId) return false;
  return typeof defined.version === "string" || defined.version === run.versionNumber;
}

/** What a start of it resolves: the version or alias that it follows, where it follows one. */
export function startUri({ modelUri, follow }: { modelUri: string | null; follow: string | null }): string | null {
  const parts = follow === null ? null : partsOf(modelUri);
  return parts === null ? modelUri : registryUri({ modelId: parts.modelId, version: follow! });
}

/** `latest` or the alias that a URI leaves a version open with; null for every other URI. */
export function openReference(modelUri: string | null): string | null {
  const version = partsOf(modelUri)?.version;
  return typeof version === "string" ? version : null;
}

function partsOf(modelUri: string | null) {
  if (modelUri === null || !isRegistryUri(modelUri)) return null;
  try {
    return readRegistryUri(modelUri);
  } catch {
    // A label may hold anything.
    return null;
  }
}
