/** One piece of work at a time per key, in the order in which it came. */
export class KeyedLocks {
  readonly #last = new Map<number, Promise<unknown>>();

  run<Value>(key: number, work: () => Promise<Value>): Promise<Value> {
    const before = this.#last.get(key) ?? Promise.resolve();
    const mine = before.then(work, work);
    this.#last.set(key, mine);
    const forget = () => {
      if (this.#last.get(key) === mine) this.#last.delete(key);
    };
    mine.then(forget, forget);
    return mine;
  }

  /** Resolves when none is under way; none may be begun meanwhile. */
  async idle(): Promise<void> {
    await Promise.allSettled(this.#last.values());
  }
}
