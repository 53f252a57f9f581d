/** A file's end, to which chunks are added: many bytes at once go past the system's cache, in whole blocks, and few of them through it. */
import { writevSync } from "node:fs";
import { failpoint } from "../../../core/runtime/failpoints.js";
import { BLOCK_BYTES, DirectFile, MIN_DIRECT_BYTES } from "./direct-file.js";

type Chunks = readonly Uint8Array[];

const NOTHING = new Uint8Array(0);

export class FileWriter {
  readonly #file: number;
  /** Null: there is no way past the cache. Asked for when many bytes come. */
  #direct: DirectFile | null | undefined;
  #position: number;
  /** The beginning of a block that is not whole yet; then the position is where that block begins. */
  #rest: Uint8Array = NOTHING;
  #cachedBytes = 0;

  /** @param pastCache false: what dies with the process may stay in memory */
  constructor(file: number, { position, pastCache }: { readonly position: number; readonly pastCache: boolean }) {
    this.#file = file;
    this.#position = position;
    this.#direct = pastCache ? undefined : null;
  }

  /** Since this was last asked, through the cache. */
  takeCachedBytes(): number {
    const bytes = this.#cachedBytes;
    this.#cachedBytes = 0;
    return bytes;
  }

  write(chunks: Chunks): void {
    const all = this.#rest.byteLength === 0 ? chunks : [this.#rest, ...chunks];
    this.#rest = NOTHING;
    const headBytes = (BLOCK_BYTES - (this.#position % BLOCK_BYTES)) % BLOCK_BYTES;
    const wholeBytes = wholeBlocks(byteLength(all) - headBytes);
    const direct = wholeBytes < MIN_DIRECT_BYTES ? null : this.#openDirect();
    if (direct === null) {
      this.#writeThrough(all);
      return;
    }
    if (headBytes > 0) this.#writeThrough(before(all, headBytes));
    const blocks = beyond(all, headBytes);
    const writtenBytes = direct.write(blocks, wholeBytes, this.#position);
    this.#position += writtenBytes;
    const left = beyond(blocks, writtenBytes);
    if (writtenBytes === wholeBytes) {
      // A copy: the chunks' memory is somebody else's afterwards.
      this.#rest = Buffer.concat(left);
      return;
    }
    this.close();
    this.#writeThrough(left);
  }

  /** What waits for the rest of its block waits no longer. */
  flush(): void {
    if (this.#rest.byteLength === 0) return;
    const rest = this.#rest;
    this.#rest = NOTHING;
    this.#writeThrough([rest]);
  }

  /** Its own handle; what is written from now on goes through the cache. Idempotent. */
  close(): void {
    this.#direct?.close();
    this.#direct = null;
  }

  #openDirect(): DirectFile | null {
    if (this.#direct === undefined) this.#direct = DirectFile.open(this.#file);
    return this.#direct;
  }

  #writeThrough(chunks: Chunks): void {
    for (let left = chunks; left.length > 0; ) {
      failpoint("file.call");
      const count = writevSync(this.#file, left, this.#position);
      this.#position += count;
      this.#cachedBytes += count;
      left = beyond(left, count);
    }
  }
}

function wholeBlocks(bytes: number): number {
  return bytes - (bytes % BLOCK_BYTES);
}

function byteLength(chunks: Chunks): number {
  return chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0);
}

function before(chunks: Chunks, bytes: number): Chunks {
  const parts: Uint8Array[] = [];
  let left = bytes;
  for (const chunk of chunks) {
    if (left === 0) break;
    const part = chunk.subarray(0, left);
    parts.push(part);
    left -= part.byteLength;
  }
  return parts;
}

/** What is left of them after their first bytes. */
function beyond(chunks: Chunks, bytes: number): Chunks {
  let skipped = bytes;
  for (const [index, chunk] of chunks.entries()) {
    if (skipped < chunk.byteLength) return [chunk.subarray(skipped), ...chunks.slice(index + 1)];
    skipped -= chunk.byteLength;
  }
  return [];
}
