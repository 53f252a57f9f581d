/** One list out of what the sources know. Pure. */
import type { ModelEntry } from "../../core/contract/models.js";

export interface Merged {
  readonly models: ModelEntry[];
  /** Entries that lost their name to another one. */
  readonly clashes: ModelEntry[];
}

/** @param sources the stronger first: an entry whose name a stronger one has is left out */
export function mergeModels(sources: readonly (readonly ModelEntry[])[]): Merged {
  const byName = new Map<string, ModelEntry>();
  const clashes: ModelEntry[] = [];
  for (const entry of sources.flat()) {
    if (byName.has(entry.name)) clashes.push(entry);
    else byName.set(entry.name, entry);
  }
  return { models: [...byName.values()], clashes };
}
