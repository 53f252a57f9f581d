/** The one list of models out of all sources: kept until something changes, told to whoever listens. */
import type { ModelEntry } from "../../core/contract/models.js";
import type { Logger } from "../../core/runtime/logger.js";
import { type Merged, mergeModels } from "./merge.js";
import type { ModelServer } from "./server.js";

export interface PublishedModelsOptions {
  /** The stronger first. */
  readonly sources: () => readonly (readonly ModelServer[])[];
  /** Called before a change is told; may change more. */
  readonly settle: () => void;
  readonly logger: Logger;
}

export class PublishedModels {
  readonly #options: PublishedModelsOptions;
  readonly #listeners = new Set<(models: ModelEntry[]) => void>();
  readonly #clashesTold = new Set<string>();
  #merged: Merged | null = null;
  #published = "";
  #isPublishing = false;
  #isFrozen = false;

  constructor(options: PublishedModelsOptions) {
    this.#options = options;
  }

  list(): ModelEntry[] {
    return this.#merge().models;
  }

  get(nameOrAddress: string): ModelEntry | undefined {
    const models = this.list();
    return models.find(({ name }) => name === nameOrAddress) ?? models.find(({ address }) => address === nameOrAddress);
  }

  /** The server behind a name in the list. */
  server(name: string): ModelServer | undefined {
    for (const servers of this.#options.sources()) {
      const server = servers.find((each) => each.name === name);
      if (server !== undefined) return server;
    }
    return undefined;
  }

  onChange(listener: (models: ModelEntry[]) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Changes of one turn of the event loop are published together, before anybody who waited for them goes on. */
  changed(): void {
    this.#merged = null;
    if (this.#isPublishing || this.#isFrozen) return;
    this.#isPublishing = true;
    queueMicrotask(() => this.#publish());
  }

  /** From now on changes are not told; the list goes on showing them. */
  freeze(): void {
    this.#isFrozen = true;
  }

  close(): void {
    this.freeze();
    this.#listeners.clear();
  }

  /** Asked many times a second and changed rarely: kept until something changes. */
  #merge(): Merged {
    this.#merged ??= mergeModels(this.#options.sources().map((servers) => servers.map((server) => server.entry)));
    return this.#merged;
  }

  #publish(): void {
    if (this.#isFrozen) return;
    this.#options.settle();
    this.#isPublishing = false;
    const { models, clashes } = this.#merge();
    for (const { name, source } of clashes) this.#tellClash(name, source);
    const published = JSON.stringify(models);
    if (published === this.#published) return;
    this.#published = published;
    for (const listener of this.#listeners) listener(models);
  }

  #tellClash(name: string, source: string): void {
    const key = `${source} ${name}`;
    if (this.#clashesTold.has(key)) return;
    this.#clashesTold.add(key);
    this.#options.logger.warn({ model: name, source }, "two models have one name; this source's is left out");
  }
}
