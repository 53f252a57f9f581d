/**
 * Whether a helper that may be away is worth asking. After a failure nobody asks it: every {@link RETRY_AFTER_MS} one probe goes
 * out in the background, and until it comes back well whoever wanted to ask goes on at once without.
 */
import type { Clock } from "../../core/runtime/clock.js";

export const RETRY_AFTER_MS = 15_000;

export interface CircuitOptions {
  readonly clock: Clock;
  /** Asks whether it is back; bounded by itself. Rejects while it is away. */
  readonly probe: () => Promise<void>;
  readonly retryAfterMs?: number;
  /** Called when it goes and when it is back. */
  readonly onChange: (isUp: boolean, cause: unknown) => void;
}

export class Circuit {
  readonly #options: CircuitOptions;
  /** Elapsed ms of the newest failure; null while all is well, or nothing is known yet. */
  #failedAtMs: number | null = null;
  #probing = false;

  constructor(options: CircuitOptions) {
    this.#options = options;
  }

  /** True when it may be asked now. False may start a probe. */
  get isClosed(): boolean {
    if (this.#failedAtMs === null) return true;
    const { clock, retryAfterMs = RETRY_AFTER_MS } = this.#options;
    if (!this.#probing && clock.elapsed() - this.#failedAtMs >= retryAfterMs) void this.#probe();
    return false;
  }

  /** It was asked and did not answer as it should. */
  fail(cause: unknown): void {
    const wasUp = this.#failedAtMs === null;
    this.#failedAtMs = this.#options.clock.elapsed();
    if (wasUp) this.#options.onChange(false, cause);
  }

  async #probe(): Promise<void> {
    this.#probing = true;
    try {
      await this.#options.probe();
      this.#failedAtMs = null;
      this.#options.onChange(true, null);
    } catch (cause) {
      this.fail(cause);
    } finally {
      this.#probing = false;
    }
  }
}
