/**
 * Latencies in microseconds, counted in buckets that grow with the value: exact below 2,048 µs, within 0.1 % above.
 * Two histograms add up, and their counts travel between processes.
 */
const EXACT = 2048;
const STEPS = EXACT / 2;

function bucketOf(us: number): number {
  if (us < EXACT) return us;
  const shift = 31 - Math.clz32(us) - 10;
  return EXACT + (shift - 1) * STEPS + ((us >>> shift) - STEPS);
}

/** The middle of a bucket's range, in µs. */
function middleOf(bucket: number): number {
  if (bucket < EXACT) return bucket;
  const shift = Math.floor((bucket - EXACT) / STEPS) + 1;
  const low = (((bucket - EXACT) % STEPS) + STEPS) * 2 ** shift;
  return low + 2 ** (shift - 1);
}

/** The greatest value counted as itself; what is longer (35 min) counts as this. */
const MAX_US = 2 ** 31 - 1;

export class Histogram {
  readonly #counts = new Map<number, number>();
  #total = 0;

  static from(counts: Iterable<readonly [bucket: number, count: number]>): Histogram {
    const histogram = new Histogram();
    histogram.add(counts);
    return histogram;
  }

  get total(): number {
    return this.#total;
  }

  record(ms: number): void {
    const bucket = bucketOf(Math.max(0, Math.min(MAX_US, Math.round(ms * 1000))));
    this.#counts.set(bucket, (this.#counts.get(bucket) ?? 0) + 1);
    this.#total++;
  }

  add(counts: Iterable<readonly [bucket: number, count: number]>): void {
    for (const [bucket, count] of counts) {
      this.#counts.set(bucket, (this.#counts.get(bucket) ?? 0) + count);
      this.#total += count;
    }
  }

  counts(): [bucket: number, count: number][] {
    return [...this.#counts];
  }

  /** In ms; NaN when nothing was counted. `share` from 0 to 1. */
  quantile(share: number): number {
    if (this.#total === 0) return Number.NaN;
    let left = Math.max(1, Math.ceil(share * this.#total));
    for (const bucket of [...this.#counts.keys()].sort((a, b) => a - b)) {
      left -= this.#counts.get(bucket) ?? 0;
      if (left <= 0) return middleOf(bucket) / 1000;
    }
    return Number.NaN;
  }
}
