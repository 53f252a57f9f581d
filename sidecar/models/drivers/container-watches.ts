/**
 * The containers whose ends are waited for. Two that run on one network never share an address, so whichever takes an address proves that
 * the one before has ended, even when the daemon was away and nobody has heard of it: what was meant for one model never reaches another.
 */
import type { ContainerWatch } from "./docker-watch.js";

export class ContainerWatches {
  readonly #watches = new Set<ContainerWatch>();

  add(watch: ContainerWatch): void {
    for (const each of this.#watches) if (each.isOver) this.#watches.delete(each);
    this.#watches.add(watch);
  }

  /** Resolves when no other watched container is believed to be at an address; null: it has none. */
  async take(address: string | null, id: string): Promise<void> {
    if (address === null) return;
    const before = [...this.#watches].filter((each) => !each.isOver && each.id !== id && each.address === address);
    await Promise.all(before.map((each) => each.lostItsAddress()));
  }
}
