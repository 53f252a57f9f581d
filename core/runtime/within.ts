/**
 * Runs one piece of work under a bound. Unlike `AbortSignal.any` it leaves nothing behind at a signal that outlives the work.
 * @param timeoutMs above it the work's signal aborts with an error whose `code` is `TIMEOUT`
 */
export async function within<Value>(
  timeoutMs: number,
  outer: AbortSignal | undefined,
  work: (signal: AbortSignal) => Promise<Value>,
): Promise<Value> {
  outer?.throwIfAborted();
  const inner = new AbortController();
  const pass = () => inner.abort(outer?.reason);
  const timer = setTimeout(() => inner.abort(timeoutError(timeoutMs)), timeoutMs);
  outer?.addEventListener("abort", pass, { once: true });
  try {
    return await work(inner.signal);
  } finally {
    clearTimeout(timer);
    outer?.removeEventListener("abort", pass);
  }
}

function timeoutError(timeoutMs: number): Error {
  return Object.assign(new Error(`no answer within ${timeoutMs} ms`), { code: "TIMEOUT" });
}
