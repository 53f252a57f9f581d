/** A request's body of any size on its way into the registry: in blocks of its own, with a bound on silence. */
import type { IncomingMessage } from "node:http";
import { SluiceError } from "../../core/contract/errors.js";

/** Big enough that handing one over costs little beside its bytes. */
const BLOCK_BYTES = 256 * 1024;
/** What trickles in is handed on this often, about. */
const BLOCK_MS = 2_000;

export interface IncomingOptions {
  /** Silence after which it is given up. */
  readonly idleMs: number;
  /** Ends it from outside, with the signal's reason. */
  readonly signal?: AbortSignal;
}

/**
 * Yields blocks that nobody else holds, so that they may be handed to another thread. What has come before a break is yielded before
 * the break is thrown. The request is left open whatever the reader does: the answer still has to go out on it.
 * @throws BODY_CUT_SHORT, BODY_TIMEOUT, the signal's reason
 */
export async function* incomingBody(request: IncomingMessage, options: IncomingOptions): AsyncGenerator<Uint8Array> {
  let block = Buffer.allocUnsafeSlow(BLOCK_BYTES);
  let filled = 0;
  let yieldedAtMs = performance.now();
  let broken: { readonly by: unknown } | null = null;
  const chunks = chunksOf(request, options);
  for (;;) {
    const next = await chunks.next().catch((by: unknown) => {
      broken = { by };
      return { done: true, value: undefined } as const;
    });
    if (next.done === true) break;
    for (let chunk = next.value; chunk.length > 0; ) {
      const taken = chunk.copy(block, filled);
      filled += taken;
      chunk = chunk.subarray(taken);
      if (filled < BLOCK_BYTES && performance.now() - yieldedAtMs < BLOCK_MS) continue;
      yield filled === BLOCK_BYTES ? block : beginningOf(block, filled);
      if (filled === BLOCK_BYTES) block = Buffer.allocUnsafeSlow(BLOCK_BYTES);
      filled = 0;
      yieldedAtMs = performance.now();
    }
  }
  if (filled > 0) yield beginningOf(block, filled);
  if (broken !== null) throw (broken as { readonly by: unknown }).by;
}

/** Copied, so that it has its memory to itself. */
function beginningOf(block: Buffer, bytes: number): Uint8Array {
  const beginning = Buffer.allocUnsafeSlow(bytes);
  block.copy(beginning, 0, 0, bytes);
  return beginning;
}

/** One chunk at a time; between two of them the request is paused. */
async function* chunksOf(request: IncomingMessage, options: IncomingOptions): AsyncGenerator<Buffer, void> {
  for (;;) {
    const chunk = await nextChunk(request, options);
    if (chunk === null) return;
    yield chunk;
  }
}

/** Null at the end. No iterator of Node's: one that waits cannot be left, and nobody could read the rest. */
function nextChunk(request: IncomingMessage, { idleMs, signal }: IncomingOptions): Promise<Buffer | null> {
  return new Promise((resolve, reject) => {
    const over = () => {
      clearTimeout(timer);
      request.pause().off("data", onData).off("end", onEnd).off("error", onBreak).off("close", onBreak);
      signal?.removeEventListener("abort", onAbort);
    };
    const fail = (error: unknown) => {
      over();
      reject(error);
    };
    const onData = (chunk: Buffer) => {
      over();
      resolve(chunk);
    };
    const onEnd = () => {
      over();
      resolve(null);
    };
    // What the stream says of its break is its own matter; ours names what it means.
    const onBreak = (cause?: unknown) =>
      fail(new SluiceError("BODY_CUT_SHORT", "the request's body ended before it was complete", { cause }));
    const onAbort = () => fail(signal?.reason);
    const timer = setTimeout(
      () => fail(new SluiceError("BODY_TIMEOUT", `nothing of the body came for ${idleMs / 1_000} s`)),
      idleMs,
    );
    if (signal?.aborted === true) return onAbort();
    if (request.readableEnded) return onEnd();
    if (request.destroyed) return onBreak();
    signal?.addEventListener("abort", onAbort, { once: true });
    request.on("data", onData).once("end", onEnd).once("error", onBreak).once("close", onBreak).resume();
  });
}
