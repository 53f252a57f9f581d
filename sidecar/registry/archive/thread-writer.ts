/**
 * One file being written in a thread, hashed on the way. What has gathered in the system's cache is sent to the disk early, while more
 * comes, so that the last sync has little left to do.
 */
import { createHash } from "node:crypto";
import { fdatasync, fsync, ftruncateSync, writevSync } from "node:fs";
import { promisify } from "node:util";
import { failpoint } from "../../../core/runtime/failpoints.js";
import type { FromThread, WriteBegin } from "./byte-messages.js";
import { BLOCK_BYTES, DirectFile, MIN_DIRECT_BYTES } from "./direct-file.js";
import { readFully } from "./thread-reader.js";

type Say = (message: FromThread, transfer?: readonly ArrayBuffer[]) => void;

/** Written and not yet on its way to the disk, at most. */
const WRITE_BACK_BYTES = 32 * 1024 * 1024;
const REHASH_BYTES = 1024 * 1024;

const syncData = promisify(fdatasync);
const syncFile = promisify(fsync);

export class ThreadWriter {
  readonly #task: WriteBegin;
  readonly #say: Say;
  readonly #hash = createHash("sha256");
  #position = 0;
  /** Asked for with the first bytes that are many at once. */
  #direct: DirectFile | null | undefined;
  /** The beginning of a block that is not whole yet, behind the position. */
  #rest: Uint8Array = new Uint8Array(0);
  #unsyncedBytes = 0;
  #writingBack: Promise<void> | null = null;
  #syncing: Promise<void> | null = null;
  /** What writing back early met: the system tells of a lost page once, so the next sync would know nothing of it. */
  #lost: unknown = null;
  #stopped = false;

  constructor(task: WriteBegin, say: Say) {
    this.#task = task;
    this.#say = say;
  }

  /** Hashes what the file holds, and cuts off what is beyond. */
  begin(): void {
    const { file, heldBytes } = this.#task;
    if (file === null || heldBytes === 0) return;
    const chunk = Buffer.allocUnsafeSlow(Math.min(REHASH_BYTES, heldBytes));
    while (this.#position < heldBytes) {
      const part = chunk.subarray(0, Math.min(chunk.byteLength, heldBytes - this.#position));
      readFully(file, part, this.#position);
      this.#hash.update(part);
      this.#position += part.byteLength;
    }
    ftruncateSync(file, heldBytes);
  }

  write(chunks: readonly Uint8Array[]): void {
    if (this.#stopped) return;
    const { id, file, isDurable } = this.#task;
    let bytes = 0;
    for (const chunk of chunks) {
      this.#hash.update(chunk);
      bytes += chunk.byteLength;
    }
    if (file === null) {
      this.#say({ type: "written", id, bytes, chunks }, transferable(chunks));
      return;
    }
    failpoint("archive.before_write");
    this.#put(file, chunks, bytes);
    freeMemory(chunks);
    if (isDurable) this.#writeBack(file);
    this.#say({ type: "written", id, bytes });
  }

  async sync(seal: boolean): Promise<void> {
    const { id, file, isDurable } = this.#task;
    if (file !== null && isDurable) {
      this.#putRest();
      this.#syncing = this.#syncFile(file);
      await this.#syncing;
    }
    if (!this.#stopped) this.#say({ type: "synced", id, hash: seal ? this.#hash.digest("base64") : null });
  }

  async #syncFile(file: number): Promise<void> {
    failpoint("archive.before_sync");
    failpoint("file.call");
    await Promise.all([syncFile(file), this.#writingBack]);
    if (this.#lost !== null) throw this.#lost;
    failpoint("archive.after_sync");
  }

  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    try {
      this.#putRest();
    } catch {
      // Nobody was promised that it would be kept.
    }
    this.#direct?.close();
  }

  /** Resolves when nothing uses the file any more. */
  async idle(): Promise<void> {
    await Promise.allSettled([this.#writingBack, this.#syncing]);
  }

  /** Whole blocks past the cache, where there are many; what is left waits for the rest of its block. */
  #put(file: number, chunks: readonly Uint8Array[], bytes: number): void {
    const aligned = this.#alignment();
    const wholeBytes = wholeBlocks(this.#rest.byteLength + bytes - aligned);
    if (!this.#task.isDurable || wholeBytes < MIN_DIRECT_BYTES) {
      this.#putThroughCache(file, chunks);
      return;
    }
    this.#direct ??= DirectFile.open(file);
    if (this.#direct === null) {
      this.#putThroughCache(file, chunks);
      return;
    }
    let left = this.#withRest(chunks);
    if (aligned > 0) {
      const head = first(left, aligned);
      left = beyond(left, aligned);
      this.#putThroughCache(file, head);
    }
    const written = this.#direct.write(left, wholeBytes, this.#position);
    this.#position += written;
    left = beyond(left, written);
    if (written === wholeBytes) {
      this.#rest = Uint8Array.from(Buffer.concat(left));
      return;
    }
    this.#direct.close();
    this.#direct = null;
    this.#putThroughCache(file, left);
  }

  #putThroughCache(file: number, chunks: readonly Uint8Array[]): void {
    const all = this.#withRest(chunks);
    const bytes = all.reduce((sum, chunk) => sum + chunk.byteLength, 0);
    writeFully(file, all, this.#position);
    this.#position += bytes;
    this.#unsyncedBytes += bytes;
  }

  #putRest(): void {
    const { file } = this.#task;
    if (file !== null && this.#rest.byteLength > 0) this.#putThroughCache(file, []);
  }

  #withRest(chunks: readonly Uint8Array[]): readonly Uint8Array[] {
    if (this.#rest.byteLength === 0) return chunks;
    const all = [this.#rest, ...chunks];
    this.#rest = new Uint8Array(0);
    return all;
  }

  /** Bytes until the next block begins. */
  #alignment(): number {
    return (BLOCK_BYTES - (this.#position % BLOCK_BYTES)) % BLOCK_BYTES;
  }

  #writeBack(file: number): void {
    if (this.#unsyncedBytes < WRITE_BACK_BYTES || this.#writingBack !== null) return;
    this.#unsyncedBytes = 0;
    this.#writingBack = syncData(file)
      .catch((caught: unknown) => {
        this.#lost = caught;
      })
      .finally(() => {
        this.#writingBack = null;
      });
  }
}

function writeFully(file: number, chunks: readonly Uint8Array[], position: number): void {
  let left = chunks;
  for (let at = position; left.length > 0; ) {
    failpoint("file.call");
    const count = writevSync(file, left, at);
    at += count;
    left = beyond(left, count);
  }
}

function wholeBlocks(bytes: number): number {
  return bytes - (bytes % BLOCK_BYTES);
}

/** Their first bytes. */
function first(chunks: readonly Uint8Array[], bytes: number): readonly Uint8Array[] {
  const together = Buffer.concat(chunks.map((chunk) => chunk.subarray(0, bytes)));
  return [together.subarray(0, bytes)];
}

/** What is left of them after their first bytes. */
function beyond(chunks: readonly Uint8Array[], bytes: number): readonly Uint8Array[] {
  let skipped = bytes;
  for (const [index, chunk] of chunks.entries()) {
    if (skipped < chunk.byteLength) return [chunk.subarray(skipped), ...chunks.slice(index + 1)];
    skipped -= chunk.byteLength;
  }
  return [];
}

const { port1: nowhere, port2: nobody } = new MessageChannel();
nowhere.close();
nobody.close();

/**
 * At once: left to the collector, what has been written would pile up, since to it these are a few small objects. What is given to a
 * closed port is gone.
 */
function freeMemory(chunks: readonly Uint8Array[]): void {
  nowhere.postMessage(null, transferable(chunks));
}

function transferable(chunks: readonly Uint8Array[]): ArrayBuffer[] {
  return chunks.map(({ buffer }) => buffer as ArrayBuffer);
}
