/** Takes versions and models away: rows first, in one transaction, then bytes. Downloads that are open go on. */
import { SluiceError } from "../../core/contract/errors.js";
import { shownId } from "../../core/contract/registry.js";
import { failpoint } from "../../core/runtime/failpoints.js";
import { folderOf, placeOf } from "./places.js";
import type { VersionUse } from "./registry.js";
import { type RegistryParts, settled } from "./registry-parts.js";
import type { Deleted, StoredModel } from "./registry-store.js";
import type { VersionReads } from "./version-reads.js";
import { modelUnknown, versionUnknown } from "./version-rules.js";

export interface DeletionOptions {
  readonly parts: RegistryParts;
  readonly reads: VersionReads;
  readonly uses: () => readonly VersionUse[];
}

export class Deletion {
  readonly #options: DeletionOptions;

  constructor(options: DeletionOptions) {
    this.#options = options;
  }

  /** @throws REGISTRY_MODEL_UNKNOWN, REGISTRY_IN_USE, DISK_FULL, STORE_FAILED */
  async model(modelId: string, { force }: { readonly force: boolean }): Promise<void> {
    const { parts, reads } = this.#options;
    const { store, infos, transients, changes } = parts;
    const { instance } = reads.model(modelId);
    await parts.locks.run(instance, async () => {
      if (!force) this.#refuseInUse(modelId, null);
      const folder = folderOf(instance, modelId);
      const isGone = await settled(store.deleteModel(instance, folder), () =>
        store.modelIdOf(instance) === null ? true : null,
      );
      if (!isGone) throw modelUnknown(modelId);
      for (const versionNumber of infos.removeModel(instance)) transients.remove({ instance, versionNumber });
      transients.setNewest(instance, 0);
      changes.tell({ type: "model-deleted", modelId });
    });
    failpoint("registry.delete.before_removals");
    await parts.removals.run();
  }

  /** @throws REGISTRY_MODEL_UNKNOWN, REGISTRY_VERSION_UNKNOWN, REGISTRY_IN_USE, DISK_FULL, STORE_FAILED */
  async version(modelId: string, asked: number, { force }: { readonly force: boolean }): Promise<void> {
    const { parts, reads } = this.#options;
    const { instance } = reads.model(modelId);
    await parts.locks.run(instance, async () => {
      const model = reads.model(modelId);
      if (model.instance !== instance) throw modelUnknown(modelId);
      const { versionNumber, archived } = reads.version(model, asked);
      if (!force) this.#refuseInUse(modelId, versionNumber);
      const newestLeft = archived
        ? await this.#deleteArchived(model, versionNumber)
        : (parts.store.newest(model)?.versionNumber ?? 0);
      // Gone for good: nothing may fail from here on.
      if (!archived) {
        parts.infos.remove(instance, versionNumber);
        parts.transients.remove({ instance, versionNumber });
      }
      parts.transients.setNewest(instance, Math.max(newestLeft, parts.infos.newest(instance)?.versionNumber ?? 0));
      parts.changes.tell({ type: "version-deleted", modelId, versionNumber });
    });
    failpoint("registry.delete.before_removals");
    await parts.removals.run();
  }

  /** @returns the newest archived one that is left; 0: none */
  async #deleteArchived(model: StoredModel, number: number): Promise<number> {
    const { store, clock, changes } = this.#options.parts;
    const { instance, modelId } = model;
    const nowMs = Math.round(clock.now());
    const write = store.deleteVersion({ instance, number }, placeOf(instance, modelId, number), nowMs);
    const deleted = await settled<Deleted | null>(write, () =>
      store.hasVersion(instance, number) ? null : { aliases: [], newestLeft: store.newest(model)?.versionNumber ?? 0 },
    );
    if (deleted === null) throw versionUnknown(modelId, number);
    for (const alias of deleted.aliases) {
      changes.tell({ type: "alias-set", alias: { modelId, alias, versionNumber: null, setAtMs: nowMs } });
    }
    return deleted.newestLeft;
  }

  /** @param number null: any version of the model */
  #refuseInUse(modelId: string, number: number | null): void {
    const found = this.#options
      .uses()
      .find((use) => use.modelId === modelId && (number === null || use.versionNumber === number));
    if (found === undefined) return;
    throw new SluiceError(
      "REGISTRY_IN_USE",
      `version ${found.versionNumber} of model ${shownId(modelId)} is in use by the deployed model ${shownId(found.by)}`,
    );
  }
}
