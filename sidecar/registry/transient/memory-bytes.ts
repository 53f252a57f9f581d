/** Bytes of a transient version in memory. */
import { Readable } from "node:stream";
import type { ByteRange, DataOptions } from "../registry.js";

export class MemoryBytes {
  readonly chunks: Uint8Array[] = [];

  add(chunks: readonly Uint8Array[]): void {
    this.chunks.push(...chunks);
  }

  stream({ range, chunkBytes }: DataOptions): Readable {
    return Readable.from(pieces(this.chunks, range ?? null, chunkBytes), { objectMode: true, highWaterMark: 1 });
  }
}

/** Copies: whoever gets one may give it away. */
function* pieces(chunks: readonly Uint8Array[], range: ByteRange | null, pieceBytes: number): Generator<Buffer> {
  let skip = range?.first ?? 0;
  let left = range === null ? Number.POSITIVE_INFINITY : range.last - range.first + 1;
  let parts: Uint8Array[] = [];
  let partBytes = 0;
  for (const chunk of chunks) {
    let offset = Math.min(skip, chunk.byteLength);
    skip -= offset;
    while (offset < chunk.byteLength && left > 0) {
      const part = chunk.subarray(offset, offset + Math.min(pieceBytes - partBytes, left));
      parts.push(part);
      partBytes += part.byteLength;
      offset += part.byteLength;
      left -= part.byteLength;
      if (partBytes < pieceBytes) continue;
      yield Buffer.concat(parts);
      parts = [];
      partBytes = 0;
    }
  }
  if (partBytes > 0) yield Buffer.concat(parts);
}
