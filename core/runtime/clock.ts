/** Time as the pure parts see it, so that a test can move it. */
export interface Clock {
  /** Epoch milliseconds. May jump either way when somebody sets the machine's clock. */
  now(): number;
  /** Milliseconds since some moment in the past; never jumps, never goes back. For spans, never for what outlives the process. */
  elapsed(): number;
  /** Runs `action` once after `delayMs`; the answer cancels it. Never keeps the process alive. */
  after(delayMs: number, action: () => void): () => void;
  /** Runs `action` once, after what is under way now. */
  soon(action: () => void): void;
  /** Resolves after `delayMs`, or at once when the signal aborts; keeps the process alive only while someone awaits it. */
  sleep(delayMs: number, signal?: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  now: Date.now,
  elapsed: () => performance.now(),
  after(delayMs, action) {
    // setTimeout fires at once above 2^31-1 ms; clamp, whoever plans further ahead asks again.
    const timer = setTimeout(action, Math.min(Math.max(delayMs, 0), 2_147_483_647));
    timer.unref();
    return () => clearTimeout(timer);
  },
  soon(action) {
    setImmediate(action);
  },
  sleep,
};

/** {@link Clock.sleep} of the system's clock, where no clock is handed in. */
export function sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, delayMs);
    signal?.addEventListener("abort", done, { once: true });
  });
}
