/** Versions and aliases in memory, with one empty file for all: as much of a registry as a rollout asks. */
import { SluiceError } from "../../../core/contract/errors.js";
import type { VersionInfo, VersionReference } from "../../../core/contract/registry.js";
import type { Registry, RegistryChange } from "../../../sidecar/registry/registry.js";

export class SmallRegistry {
  readonly #versions = new Map<string, number[]>();
  readonly #aliases = new Map<string, number>();
  readonly #listeners = new Set<(change: RegistryChange) => void>();
  readonly #file: string;

  constructor(file: string) {
    this.#file = file;
  }

  /** @returns its URI */
  add(modelId: string, number: number): string {
    this.#versions.set(modelId, [...(this.#versions.get(modelId) ?? []), number]);
    this.#tell({ type: "version-created", info: this.#info(modelId, number) });
    return `sluice://${modelId}/${number}`;
  }

  remove(modelId: string, versionNumber: number): void {
    this.#versions.set(
      modelId,
      this.#versions.get(modelId)!.filter((each) => each !== versionNumber),
    );
    this.#tell({ type: "version-deleted", modelId, versionNumber });
  }

  point(modelId: string, alias: string, versionNumber: number): void {
    this.#aliases.set(`${modelId}/${alias}`, versionNumber);
    this.#tell({ type: "alias-set", alias: { modelId, alias, versionNumber, setAtMs: 0 } });
  }

  #tell(change: RegistryChange): void {
    for (const listener of this.#listeners) listener(change);
  }

  #info(modelId: string, versionNumber: number): VersionInfo {
    const dataHash = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    return { modelId, versionNumber, creationTimestamp: 0n, archived: true, dataHash, dataBytes: 0, userData: {} };
  }

  get registry(): Registry {
    const latest = (modelId: string) => Math.max(0, ...(this.#versions.get(modelId) ?? []));
    const resolve = (modelId: string, reference: VersionReference) => {
      const named = typeof reference === "number" ? reference : this.#aliases.get(`${modelId}/${reference}`);
      const number = reference === "latest" ? latest(modelId) : (named ?? 0);
      if (!(this.#versions.get(modelId) ?? []).includes(number)) {
        throw new SluiceError("REGISTRY_VERSION_UNKNOWN", `there is no version ${reference}`);
      }
      return this.#info(modelId, number);
    };
    return {
      resolve,
      latest: (modelId: string) => (latest(modelId) === 0 ? null : this.#info(modelId, latest(modelId))),
      packageFile: async () => this.#file,
      followUses: () => {},
      onChange: (listener: (change: RegistryChange) => void) => {
        this.#listeners.add(listener);
        return () => this.#listeners.delete(listener);
      },
    } as unknown as Registry;
  }
}
