import type { Clock } from "./clock.js";

/**
 * Runs one piece of work under a bound. Unlike `AbortSignal.any` it leaves nothing behind at a signal that outlives the work.
 * @param timeoutMs above it the work's signal aborts with an error whose `code` is `TIMEOUT`
 */
export async function within<Value>(
  clock: Pick<Clock, "after">,
  timeoutMs: number,
  outer: AbortSignal | undefined,
  work: (signal: AbortSignal) => Promise<Value>,
): Promise<Value> {
  outer?.throwIfAborted();
  const inner = new AbortController();
  const pass = () => inner.abort(outer?.reason);
  const cancel = clock.after(timeoutMs, () => inner.abort(timeoutError(timeoutMs)));
  outer?.addEventListener("abort", pass, { once: true });
  try {
    return await work(inner.signal);
  } finally {
    cancel();
    outer?.removeEventListener("abort", pass);
  }
}

/** The system's time for {@link settledWithin} where no clock is handed in: while somebody waits, the process stays. */
export const awake: Pick<Clock, "after"> = {
  after(delayMs, action) {
    const timer = setTimeout(action, delayMs);
    return () => clearTimeout(timer);
  },
};

/** Waits for a promise no longer than this, then for what `late` gives or throws; the promise itself goes on. */
export function settledWithin<Value, Late>(
  clock: Pick<Clock, "after">,
  timeoutMs: number,
  promise: Promise<Value>,
  late: () => Late,
): Promise<Value | Late> {
  return new Promise((resolve, reject) => {
    const cancel = clock.after(timeoutMs, () => {
      try {
        resolve(late());
      } catch (cause) {
        reject(cause);
      }
    });
    promise.then(resolve, reject).finally(cancel);
  });
}

function timeoutError(timeoutMs: number): Error {
  return Object.assign(new Error(`no answer within ${timeoutMs} ms`), { code: "TIMEOUT" });
}
