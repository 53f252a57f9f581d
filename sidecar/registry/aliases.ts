/** Names for versions, each with its history. */
import { SluiceError } from "../../core/contract/errors.js";
import { ALIAS_NAME, type Alias, shownId } from "../../core/contract/registry.js";
import { MAX_HISTORY } from "./registry.js";
import { type RegistryParts, settled } from "./registry-parts.js";
import type { VersionReads } from "./version-reads.js";
import { aliasUnknown, modelUnknown } from "./version-rules.js";

export class Aliases {
  readonly #parts: RegistryParts;
  readonly #reads: VersionReads;

  constructor(parts: RegistryParts, reads: VersionReads) {
    this.#parts = parts;
    this.#reads = reads;
  }

  all(modelId: string): Alias[] {
    return this.#parts.store.aliases(this.#reads.model(modelId));
  }

  history(modelId: string, alias: string): Alias[] {
    const history = this.#parts.store.aliasHistory(this.#reads.model(modelId), alias, MAX_HISTORY);
    if (history.length === 0) throw aliasUnknown(modelId, alias);
    return history;
  }

  /** @throws REGISTRY_ALIAS_INVALID, REGISTRY_MODEL_UNKNOWN, REGISTRY_VERSION_UNKNOWN, VERSION_TRANSIENT, INVALID_PARAMETER */
  async set(modelId: string, alias: string, asked: number): Promise<Alias> {
    if (!ALIAS_NAME.test(alias)) {
      throw new SluiceError("REGISTRY_ALIAS_INVALID", `${shownId(alias)} cannot be an alias`);
    }
    const { instance } = this.#reads.model(modelId);
    return this.#parts.locks.run(instance, async () => {
      const { versionNumber, archived } = this.#reads.version(this.#reads.model(modelId), asked);
      if (!archived) {
        throw new SluiceError("VERSION_TRANSIENT", "an alias cannot name a transient version", {
          hint: "It would be gone with the process; upload it as an archived one.",
        });
      }
      const set: Alias = { modelId, alias, versionNumber, setAtMs: this.#nowMs() };
      const write = this.#parts.store.setAlias({ instance, alias, number: versionNumber, setAtMs: set.setAtMs });
      if (!(await settled(write, () => this.#isSet(set)))) throw modelUnknown(modelId);
      this.#parts.changes.tell({ type: "alias-set", alias: set });
      return set;
    });
  }

  /** @throws REGISTRY_ALIAS_UNKNOWN, REGISTRY_MODEL_UNKNOWN */
  async remove(modelId: string, alias: string): Promise<void> {
    const { store, locks, changes } = this.#parts;
    const { instance } = this.#reads.model(modelId);
    await locks.run(instance, async () => {
      if (store.alias(this.#reads.model(modelId), alias) === null) throw aliasUnknown(modelId, alias);
      const removed: Alias = { modelId, alias, versionNumber: null, setAtMs: this.#nowMs() };
      const write = store.removeAlias({ instance, alias, setAtMs: removed.setAtMs });
      if (!(await settled(write, () => this.#isSet(removed)))) throw aliasUnknown(modelId, alias);
      changes.tell({ type: "alias-set", alias: removed });
    });
  }

  #nowMs(): number {
    return Math.round(this.#parts.clock.now());
  }

  /** Whether it stands as it was to be set, at that very moment; null: no. */
  #isSet({ modelId, alias, versionNumber, setAtMs }: Alias): true | null {
    const { store } = this.#parts;
    const [last] = store.aliasHistory(this.#reads.model(modelId), alias, 1);
    return last?.versionNumber === versionNumber && last.setAtMs === setAtMs ? true : null;
  }
}
