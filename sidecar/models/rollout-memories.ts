/** What is remembered of models that follow a version of the registry: read once, written through. */
import type { Logger } from "../../core/runtime/logger.js";
import type { ModelStore, RolloutMemory } from "./model-store.js";
import { FIRST_SLOT } from "./server-slot.js";

export interface RolloutMemoriesOptions {
  /** Null: it is remembered as long as this process lives. */
  readonly store: Pick<ModelStore, "rollouts" | "putRollout" | "removeRollout"> | null;
  readonly logger: Logger;
}

type Change = Partial<Omit<RolloutMemory, "model">>;

export class RolloutMemories {
  readonly #options: RolloutMemoriesOptions;
  readonly #known = new Map<string, RolloutMemory>();
  /** One write at a time, each of all that is known then. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: RolloutMemoriesOptions) {
    this.#options = options;
  }

  /** To be called once, before anything is asked. @throws STORE_FAILED, and what SQLite throws */
  read(): void {
    for (const each of this.#options.store?.rollouts() ?? []) this.#known.set(each.model, each);
  }

  has(model: string): boolean {
    return this.#known.has(model);
  }

  get(model: string): RolloutMemory {
    return this.#known.get(model) ?? { model, slot: FIRST_SLOT, keptUri: null, failedUri: null, problem: null };
  }

  /** Known here once it is durable. @throws DISK_FULL, STORE_FAILED */
  put(model: string, change: Change): Promise<void> {
    return this.#inTurn(async () => {
      await this.#options.store?.putRollout({ ...this.get(model), ...change });
      this.#known.set(model, { ...this.get(model), ...change });
    });
  }

  /** Known here at once; durable soon, where that is possible. */
  keep(model: string, change: Change): void {
    this.#known.set(model, { ...this.get(model), ...change });
    this.#inTurn(async () => this.#options.store?.putRollout(this.get(model))).catch((cause) =>
      this.#options.logger.warn({ model, err: cause }, "what became of a version cannot be written down"),
    );
  }

  forget(model: string): void {
    if (!this.#known.delete(model)) return;
    this.#inTurn(async () => this.#options.store?.removeRollout(model)).catch((cause) =>
      this.#options.logger.warn({ model, err: cause }, "what is remembered of a model cannot be removed"),
    );
  }

  #inTurn<T>(action: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(action);
    this.#turn = turn.catch(() => undefined);
    return turn;
  }
}
