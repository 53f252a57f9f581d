/**
 * Memory that the main thread and the threads share, in slots of one size that are used again and again: bytes cross without a new
 * buffer for the garbage collector of either side, and there are no more on their way than there are slots.
 */

export const SLOT_BYTES = 1024 * 1024;
/** Left for those who need one now, by those who only prepare. */
const RESERVED_SLOTS = 4;

export interface Slot {
  /** No other pool's. */
  readonly key: number;
  readonly memory: SharedArrayBuffer;
  readonly bytes: Buffer;
}

let lastKey = 0;

export class Slots {
  readonly #max: number;
  #made = 0;
  /** The last one given back is the first one taken: little is touched while little goes on. */
  readonly #free: Slot[] = [];
  readonly #waiting: ((slot: Slot) => void)[] = [];

  constructor(max: number) {
    this.#max = max;
  }

  /** The next one, in the order of asking. */
  take(use: (slot: Slot) => void): void {
    const slot = this.#waiting.length > 0 ? null : this.#any();
    if (slot === null) this.#waiting.push(use);
    else use(slot);
  }

  /** Null where others may soon need what is left. */
  takeSpare(): Slot | null {
    const left = this.#free.length + this.#max - this.#made;
    return this.#waiting.length > 0 || left <= RESERVED_SLOTS ? null : this.#any();
  }

  give(slot: Slot): void {
    const use = this.#waiting.shift();
    if (use === undefined) this.#free.push(slot);
    else use(slot);
  }

  #any(): Slot | null {
    const free = this.#free.pop();
    if (free !== undefined || this.#made >= this.#max) return free ?? null;
    this.#made += 1;
    const memory = new SharedArrayBuffer(SLOT_BYTES);
    return { key: ++lastKey, memory, bytes: Buffer.from(memory) };
  }
}
