/** Pulls a source chunk by chunk with a bound on silence. */
import { SluiceError } from "../../core/contract/errors.js";
import { awake, settledWithin } from "../../core/runtime/within.js";

/**
 * The source's chunks. It is only ever asked for the next chunk, never ended from here: ending a request's stream would take the
 * connection with it, and the refusal could not be told.
 * @throws BODY_TIMEOUT after `idleTimeoutMs` without a chunk; whatever the source throws
 */
export async function* pulled(source: AsyncIterable<Buffer>, idleTimeoutMs: number): AsyncGenerator<Buffer, void> {
  const late = (): never => {
    throw new SluiceError("BODY_TIMEOUT", `no byte of the body arrived for ${Math.round(idleTimeoutMs / 1_000)} s`);
  };
  const iterator = source[Symbol.asyncIterator]();
  for (;;) {
    const next = await settledWithin(awake, idleTimeoutMs, iterator.next(), late);
    if (next.done === true) return;
    yield next.value;
  }
}
