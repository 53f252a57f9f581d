/** Tells of changes once they are durable. A listener that fails undoes nothing, and keeps nobody else from being told. */
import type { Logger } from "../../core/runtime/logger.js";
import type { RegistryChange } from "./registry.js";

type Listener = (change: RegistryChange) => void;

export class Changes {
  readonly #listeners = new Set<Listener>();
  readonly #log: Logger;

  constructor(log: Logger) {
    this.#log = log;
  }

  listen(listener: Listener): () => void {
    // Its own entry, also when one listener comes twice.
    const entry: Listener = (change) => listener(change);
    this.#listeners.add(entry);
    return () => this.#listeners.delete(entry);
  }

  tell(change: RegistryChange): void {
    for (const listener of this.#listeners) {
      try {
        listener(change);
      } catch (err) {
        this.#log.error({ event: "listener_failed", err }, "a change of the registry could not be told to all");
      }
    }
  }
}
