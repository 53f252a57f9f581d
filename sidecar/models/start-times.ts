/** How long models took to start, learned: a slow loader is not a failed one. */
import type { Clock } from "../../core/runtime/clock.js";
import type { Logger } from "../../core/runtime/logger.js";
import type { ModelStore } from "./model-store.js";

/** A start may take this many times as long as the longest known one. */
const PATIENCE = 3;

export interface StartTimesOptions {
  readonly store: Pick<ModelStore, "starts" | "recordStart">;
  readonly clock: Pick<Clock, "now">;
  readonly logger: Logger;
}

export class StartTimes {
  readonly #options: StartTimesOptions;
  /** Read once for each model; what is recorded later is added here. */
  readonly #longest = new Map<string, number | null>();

  constructor(options: StartTimesOptions) {
    this.#options = options;
  }

  /** The longest of the starts that are kept; null when there is none. */
  longestMs(model: string): number | null {
    const known = this.#longest.get(model);
    if (known !== undefined) return known;
    const starts = this.#read(model);
    if (starts === null) return null;
    const longest = starts.length === 0 ? null : Math.max(...starts);
    this.#longest.set(model, longest);
    return longest;
  }

  /** Null when they cannot be read now: the configured bound does until then. */
  #read(model: string): number[] | null {
    const { store, logger } = this.#options;
    try {
      return store.starts(model).map(({ tookMs }) => tookMs);
    } catch (cause) {
      logger.warn({ model, err: cause }, "how long a model's starts took cannot be read");
      return null;
    }
  }

  /** @param configuredMs `models.deployment.auto.health_check_timeout` */
  boundMs(model: string, configuredMs: number): number {
    return learnedBound(configuredMs, this.longestMs(model));
  }

  record(model: string, modelUri: string | null, tookMs: number): void {
    const { store, clock, logger } = this.#options;
    store.recordStart({ model, modelUri, tookMs: Math.round(tookMs), atMs: clock.now() }).then(
      () => this.#longest.delete(model),
      (cause) => logger.warn({ model, err: cause }, "how long a start took cannot be written down"),
    );
  }
}

/** Pure. */
export function learnedBound(configuredMs: number, longestMs: number | null): number {
  return Math.max(configuredMs, PATIENCE * (longestMs ?? 0));
}
