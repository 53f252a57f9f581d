/** Pulls a source chunk by chunk with a bound on silence. */
import { SluiceError } from "../../core/contract/errors.js";

/**
 * The source's chunks. It is only ever asked for the next chunk, never ended from here: ending a request's stream would take the
 * connection with it, and the refusal could not be told.
 * @throws BODY_TIMEOUT after `idleTimeoutMs` without a chunk; whatever the source throws
 */
export async function* pulled(source: AsyncIterable<Buffer>, idleTimeoutMs: number): AsyncGenerator<Buffer, void> {
  const iterator = source[Symbol.asyncIterator]();
  for (;;) {
    const next = await within(iterator.next(), idleTimeoutMs);
    if (next.done === true) return;
    yield next.value;
  }
}

function within<Value>(promise: Promise<Value>, timeoutMs: number): Promise<Value> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new SluiceError("BODY_TIMEOUT", `no byte of the body arrived for ${Math.round(timeoutMs / 1_000)} s`));
    }, timeoutMs);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
