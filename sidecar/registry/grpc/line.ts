/** At most so many at a time; the others wait in the order in which they came. */
export class Line {
  readonly #places: number;
  #free: number;
  readonly #waiting = new Set<() => void>();

  constructor(places: number) {
    this.#places = places;
    this.#free = places;
  }

  /** 0 to 1: the next one waits. */
  get load(): number {
    return 1 - this.#free / this.#places;
  }

  /** @returns how to leave; null when the signal aborted first */
  async enter(signal: AbortSignal): Promise<(() => void) | null> {
    if (signal.aborted) return null;
    if (this.#free > 0) this.#free -= 1;
    else if (!(await this.#wait(signal))) return null;
    let isIn = true;
    return () => {
      if (isIn) this.#leave();
      isIn = false;
    };
  }

  #wait(signal: AbortSignal): Promise<boolean> {
    return new Promise((resolve) => {
      const settle = (isIn: boolean) => {
        this.#waiting.delete(enter);
        signal.removeEventListener("abort", giveUp);
        resolve(isIn);
      };
      const enter = () => settle(true);
      const giveUp = () => settle(false);
      this.#waiting.add(enter);
      signal.addEventListener("abort", giveUp, { once: true });
    });
  }

  /** A place goes straight to the next in line. */
  #leave(): void {
    const [next] = this.#waiting;
    if (next === undefined) this.#free += 1;
    else next();
  }
}
