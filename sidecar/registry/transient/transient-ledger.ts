/**
 * Which transient versions there are, how big they are and when each was last used; from that, what must go for the limits' sake. Pure
 * bookkeeping: whoever asks it does what it says.
 */
import { firstNotBelow } from "./first-not-below.js";
import type { TransientKey } from "./transients.js";

export interface TransientLimits {
  readonly cacheMaxItems: number;
  readonly cacheMaxBytes: number;
}

export interface Item extends TransientKey {
  readonly bytes: number;
  /** In memory, in a file, or on its way from one to the other. */
  place: "memory" | "spilling" | "file";
  usedAt: number;
}

/** One upload that all others' bytes leave no room for in memory goes to a file from its beginning. */
export function startsInFile(bytes: number, uploadBytes: number, { cacheMaxBytes }: TransientLimits): boolean {
  return uploadBytes + bytes > cacheMaxBytes / 2;
}

export class TransientLedger {
  /** Those that may be evicted, by their last use. */
  readonly #ordinary: Item[] = [];
  /** Those that are the newest version of their model, by its instance. */
  readonly #newest = new Map<number, Item>();
  readonly #items = new Map<string, Item>();
  /** Of all that counts: whatever may be evicted, wherever it lies, and newest ones in memory. */
  #bytes = 0;
  #uses = 0;

  /** As its model's newest. */
  add(key: TransientKey, bytes: number, place: "memory" | "file"): void {
    const item: Item = { ...key, bytes, place, usedAt: ++this.#uses };
    this.#items.set(nameOf(key), item);
    this.#insert(item);
    this.setNewest(key.instance, key.versionNumber);
  }

  remove(key: TransientKey): void {
    const item = this.#items.get(nameOf(key));
    if (item === undefined) return;
    this.#items.delete(nameOf(key));
    this.#take(item);
  }

  touch(key: TransientKey): void {
    const item = this.#items.get(nameOf(key));
    if (item === undefined) return;
    const isNewest = this.#newest.get(item.instance) === item;
    if (!isNewest) this.#take(item);
    item.usedAt = ++this.#uses;
    if (!isNewest) this.#insert(item);
  }

  /** @param versionNumber an archived one, or none, exempts nothing here */
  setNewest(instance: number, versionNumber: number): void {
    const before = this.#newest.get(instance);
    const now = this.#items.get(nameOf({ instance, versionNumber }));
    if (before === now) return;
    if (before !== undefined) {
      this.#take(before);
      this.#insert(before);
    }
    if (now === undefined) return;
    this.#take(now);
    this.#newest.set(instance, now);
    this.#bytes += countedAsNewest(now);
  }

  /** It lies elsewhere now. */
  move(key: TransientKey, place: Item["place"]): void {
    const item = this.#items.get(nameOf(key));
    if (item === undefined) return;
    const isNewest = this.#newest.get(item.instance) === item;
    if (isNewest) this.#bytes -= countedAsNewest(item);
    item.place = place;
    if (isNewest) this.#bytes += countedAsNewest(item);
  }

  /**
   * The one to be evicted next, or null: the least recently used one that is not its model's newest, while there are too many or while
   * they hold too many bytes.
   * @param uploadBytes in memory, of versions on their way
   */
  nextToEvict({ cacheMaxItems, cacheMaxBytes }: TransientLimits, uploadBytes: number): TransientKey | null {
    const oldest = this.#ordinary[0];
    if (oldest === undefined) return null;
    const tooBig = sum(this.#oversized(cacheMaxBytes));
    const isOver = this.#items.size > cacheMaxItems || this.#bytes - tooBig + uploadBytes > cacheMaxBytes;
    return isOver ? oldest : null;
  }

  /** Newest ones that must move to a file: what is too big by itself, then the biggest, so that there are few files. */
  toSpill({ cacheMaxBytes }: TransientLimits, uploadBytes: number): TransientKey[] {
    const oversized = this.#oversized(cacheMaxBytes);
    let excess = this.#bytes - sum(oversized) + uploadBytes - cacheMaxBytes;
    if (excess <= 0) return oversized;
    const rest = this.#inMemory().filter(({ bytes }) => bytes <= cacheMaxBytes && bytes > 0);
    rest.sort((a, b) => b.bytes - a.bytes);
    const spilled = [...oversized];
    for (const item of rest) {
      if (excess <= 0) break;
      spilled.push(item);
      excess -= item.bytes;
    }
    return spilled;
  }

  #oversized(cacheMaxBytes: number): Item[] {
    if (this.#bytes <= cacheMaxBytes) return [];
    return this.#inMemory().filter(({ bytes }) => bytes > cacheMaxBytes);
  }

  #inMemory(): Item[] {
    return [...this.#newest.values()].filter(({ place }) => place === "memory");
  }

  #insert(item: Item): void {
    this.#ordinary.splice(this.#indexOf(item), 0, item);
    this.#bytes += item.bytes;
  }

  /** Out of where it stands. */
  #take(item: Item): void {
    if (this.#newest.get(item.instance) === item) {
      this.#newest.delete(item.instance);
      this.#bytes -= countedAsNewest(item);
      return;
    }
    this.#ordinary.splice(this.#indexOf(item), 1);
    this.#bytes -= item.bytes;
  }

  #indexOf({ usedAt }: Item): number {
    return firstNotBelow(this.#ordinary, usedAt, (each) => each.usedAt);
  }
}

export function nameOf({ instance, versionNumber }: TransientKey): string {
  return `${instance}/${versionNumber}`;
}

function countedAsNewest({ place, bytes }: Item): number {
  return place === "memory" ? bytes : 0;
}

function sum(items: readonly Item[]): number {
  return items.reduce((total, { bytes }) => total + bytes, 0);
}
