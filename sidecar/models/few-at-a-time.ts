/** Lets so many pieces of work run at a time; the rest waits in the order in which it came. */
export class FewAtATime {
  #free: number;
  readonly #waiting = new Set<() => void>();

  /** @param most from 1 */
  constructor(most: number) {
    this.#free = most;
  }

  /** Work whose signal has aborted before its turn is not begun. @throws the signal's reason, or what the work throws */
  async run<Value>(signal: AbortSignal, work: () => Promise<Value>): Promise<Value> {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise<void>((resolve) => this.#waiting.add(resolve));
    try {
      signal.throwIfAborted();
      return await work();
    } finally {
      this.#pass();
    }
  }

  /** A place that is given up goes to whoever waits longest. */
  #pass(): void {
    const [next] = this.#waiting;
    if (next === undefined) this.#free += 1;
    else {
      this.#waiting.delete(next);
      next();
    }
  }
}
