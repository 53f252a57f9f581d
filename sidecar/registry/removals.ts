/** Files whose rows are gone: what a deletion wrote down to be removed. A crash in between leaves it to the next start. */
import { failpoint } from "../../core/runtime/failpoints.js";
import type { Logger } from "../../core/runtime/logger.js";
import type { Archive } from "./archive/archive.js";
import type { RegistryStore, Removal } from "./store/registry-store.js";

const AT_A_TIME = 100;

export class Removals {
  readonly #store: RegistryStore;
  readonly #archive: Archive;
  readonly #log: Logger;
  #last: Promise<void> = Promise.resolve();

  constructor({ store, archive, log }: { store: RegistryStore; archive: Archive; log: Logger }) {
    this.#store = store;
    this.#archive = archive;
    this.#log = log;
  }

  /** Removes all there is to remove. Never throws: what cannot be removed now is tried again with the next deletion, or start. */
  run(): Promise<void> {
    this.#last = this.#last.then(() => this.#removeAll());
    return this.#last;
  }

  async #removeAll(): Promise<void> {
    try {
      let afterId = 0;
      for (let due = this.#store.removals(afterId, AT_A_TIME); due.length > 0; ) {
        for (const removal of due) await this.#remove(removal);
        afterId = due.at(-1)!.id;
        due = this.#store.removals(afterId, AT_A_TIME);
      }
    } catch (err) {
      this.#log.warn({ event: "removals_unread", err }, "what is to be removed from the archive cannot be read");
    }
  }

  async #remove({ id, folder, file }: Removal): Promise<void> {
    try {
      failpoint("registry.removal.before_unlink");
      if (file === null) await this.#archive.removeFolder(folder);
      else await this.#archive.remove({ folder, file });
      failpoint("registry.removal.after_unlink");
      await this.#store.forgetRemoval(id);
    } catch (err) {
      this.#log.warn({ event: "version_not_removed", err }, "bytes of a deleted version could not be removed yet");
    }
  }
}
