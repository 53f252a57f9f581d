/** What versions there are: archived ones from the store, transient ones from memory, as one ascending sequence per model. */
import type { VersionInfo, VersionReference } from "../../core/contract/registry.js";
import type { RegistryParts } from "./registry-parts.js";
import type { StoredModel } from "./store/registry-store.js";
import { aliasUnknown, meantNumber, mergeVersions, modelUnknown, versionUnknown } from "./version-rules.js";

export class VersionReads {
  readonly #parts: Pick<RegistryParts, "store" | "infos" | "transients">;

  constructor(parts: Pick<RegistryParts, "store" | "infos" | "transients">) {
    this.#parts = parts;
  }

  /** @throws REGISTRY_MODEL_UNKNOWN */
  model(modelId: string): StoredModel {
    const model = this.#parts.store.model(modelId);
    if (model === null) throw modelUnknown(modelId);
    return model;
  }

  /** @throws REGISTRY_VERSION_UNKNOWN */
  version(model: StoredModel, asked: number): VersionInfo {
    const number = asked > 0 ? asked : meantNumber(asked, this.latest(model)?.versionNumber ?? 0);
    const info = this.#numbered(model, number);
    if (info === null) throw versionUnknown(model.modelId, asked);
    return info;
  }

  /** @throws REGISTRY_VERSION_UNKNOWN, REGISTRY_ALIAS_UNKNOWN */
  resolve(model: StoredModel, reference: VersionReference): VersionInfo {
    if (typeof reference === "number") return this.version(model, reference);
    if (reference === "latest") return this.version(model, -1);
    const alias = this.#parts.store.alias(model, reference);
    if (alias === null) throw aliasUnknown(model.modelId, reference);
    return this.version(model, alias.versionNumber!);
  }

  /** @param limit 0: all */
  versions(model: StoredModel, page: { readonly from: number; readonly limit: number }): VersionInfo[] {
    const { store, infos } = this.#parts;
    return mergeVersions(store.versions(model, page), infos.slice(model.instance, page), page.limit);
  }

  /** The newest that exists; null: there is none. */
  latest(model: StoredModel): VersionInfo | null {
    const archived = this.#parts.store.newest(model);
    const transient = this.#parts.infos.newest(model.instance);
    if (archived === null || transient === null) return archived ?? transient;
    return archived.versionNumber > transient.versionNumber ? archived : transient;
  }

  #numbered(model: StoredModel, versionNumber: number): VersionInfo | null {
    const { store, infos, transients } = this.#parts;
    const { instance } = model;
    const transient = infos.get(instance, versionNumber);
    if (transient === null) return store.version(model, versionNumber);
    transients.touch({ instance, versionNumber });
    return transient;
  }
}
