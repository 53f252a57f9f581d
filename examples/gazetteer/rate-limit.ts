const WINDOW_MS = 60_000;
const MAX_KEYS = 10_000;

/** A moving window of one minute for each key, in memory. */
export class RateLimit {
  readonly #admitted = new Map<string, number[]>();

  /** @param perMinute  null: no limit */
  constructor(readonly perMinute: number | null) {}

  /** @returns false when the caller has to be refused */
  admit(key: string, nowMs = performance.now()): boolean {
    if (this.perMinute === null) return true;
    const recent = (this.#admitted.get(key) ?? []).filter((atMs) => atMs > nowMs - WINDOW_MS);
    const admitted = recent.length < this.perMinute;
    if (admitted) recent.push(nowMs);
    if (this.#admitted.size >= MAX_KEYS) this.#admitted.clear();
    this.#admitted.set(key, recent);
    return admitted;
  }
}
