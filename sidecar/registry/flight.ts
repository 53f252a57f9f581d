/** How many bytes are on their way between the main thread and the threads, over all streams of a kind. */
export class Flight {
  readonly #maxBytes: number;
  #bytes = 0;
  readonly #waiting = new Set<() => boolean>();

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get hasRoom(): boolean {
    return this.#bytes <= this.#maxBytes;
  }

  /** Counts them, room or not. */
  take(bytes: number): void {
    this.#bytes += bytes;
  }

  release(bytes: number): void {
    this.#bytes -= bytes;
    for (const proceed of this.#waiting) {
      if (proceed()) this.#waiting.delete(proceed);
    }
  }

  /** Asked after each release until it answers true. */
  wait(proceed: () => boolean): void {
    this.#waiting.add(proceed);
  }
}
