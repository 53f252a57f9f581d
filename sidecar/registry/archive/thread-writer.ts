/**
 * One file being written in a thread, hashed on the way. What has gathered in the system's cache is sent to the disk early, while more
 * comes, so that the last sync has little left to do.
 */
import { createHash } from "node:crypto";
import { fdatasync, fsync, ftruncateSync } from "node:fs";
import { promisify } from "node:util";
import { failpoint } from "../../../core/runtime/failpoints.js";
import type { FromThread, WriteBegin } from "./byte-messages.js";
import { FileWriter } from "./file-writer.js";
import { readFully } from "./thread-reader.js";

type Say = (message: FromThread, transfer?: readonly ArrayBuffer[]) => void;

/** Written through the cache and not yet on its way to the disk, at most. */
const WRITE_BACK_BYTES = 32 * 1024 * 1024;
const REHASH_BYTES = 1024 * 1024;

const syncData = promisify(fdatasync);
const syncFile = promisify(fsync);

export class ThreadWriter {
  readonly #task: WriteBegin;
  readonly #say: Say;
  readonly #hash = createHash("sha256");
  readonly #writer: FileWriter | null;
  #unsyncedBytes = 0;
  #writingBack: Promise<void> | null = null;
  #syncing: Promise<void> | null = null;
  /** What writing back early met: the system tells of a lost page once, so the next sync would know nothing of it. */
  #lost: unknown = null;
  #stopped = false;

  constructor(task: WriteBegin, say: Say) {
    this.#task = task;
    this.#say = say;
    const { file, heldBytes, isDurable } = task;
    this.#writer = file === null ? null : new FileWriter(file, { position: heldBytes, pastCache: isDurable });
  }

  /** Hashes what the file holds, and cuts off what is beyond. */
  begin(): void {
    const { file, heldBytes } = this.#task;
    if (file === null || heldBytes === 0) return;
    const chunk = Buffer.allocUnsafeSlow(Math.min(REHASH_BYTES, heldBytes));
    for (let position = 0; position < heldBytes; ) {
      const part = chunk.subarray(0, Math.min(chunk.byteLength, heldBytes - position));
      readFully(file, part, position);
      this.#hash.update(part);
      position += part.byteLength;
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
    if (file === null || this.#writer === null) {
      this.#say({ type: "written", id, bytes, chunks }, transferable(chunks));
      return;
    }
    failpoint("archive.before_write");
    this.#writer.write(chunks);
    freeMemory(chunks);
    this.#unsyncedBytes += this.#writer.takeCachedBytes();
    if (isDurable) this.#writeBack(file);
    this.#say({ type: "written", id, bytes });
  }

  async sync(seal: boolean): Promise<void> {
    const { id, file, isDurable } = this.#task;
    if (file !== null && isDurable) {
      this.#writer?.flush();
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
      this.#writer?.flush();
    } catch {
      // Nobody was told that it is there.
    }
    this.#writer?.close();
  }

  /** Resolves when nothing uses the file any more. */
  async idle(): Promise<void> {
    await Promise.allSettled([this.#writingBack, this.#syncing]);
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
