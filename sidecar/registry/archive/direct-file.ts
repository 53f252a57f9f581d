/**
 * Writing past the system's cache, where the system can: nobody reads a new version so soon that filling the cache with it, page by page,
 * would be worth what it costs, and the sync at its end has little left to do. It takes whole blocks from memory that begins on a page.
 */
import { closeSync, constants, openSync, writeSync } from "node:fs";
import { failpoint } from "../../../core/runtime/failpoints.js";

/** Whole blocks of any disk and pages of any system we run on. */
export const BLOCK_BYTES = 4_096;
/** Less at a time waits longer for the disk than it saves. */
export const MIN_DIRECT_BYTES = 256 * 1024;
const SCRATCH_BYTES = 1024 * 1024;
const WASM_PAGE_BYTES = 64 * 1024;

/** The types of Node leave it out. */
declare const WebAssembly: {
  readonly Memory: new (pages: {
    readonly initial: number;
    readonly maximum: number;
  }) => { readonly buffer: ArrayBuffer };
};

/** What is on its way to the disk in this thread; its memory begins on a page. Null: there is none such. */
let scratch: Buffer | null | undefined;

function pageAligned(): Buffer | null {
  try {
    const pages = SCRATCH_BYTES / WASM_PAGE_BYTES;
    return Buffer.from(new WebAssembly.Memory({ initial: pages, maximum: pages }).buffer);
  } catch {
    return null;
  }
}

export class DirectFile {
  readonly #file: number;
  readonly #memory: Buffer;

  private constructor(file: number, memory: Buffer) {
    this.#file = file;
    this.#memory = memory;
  }

  /** The same file once more. Null where the system or the disk has no such thing. */
  static open(file: number): DirectFile | null {
    if (process.platform !== "linux") return null;
    scratch ??= pageAligned();
    if (scratch === null) return null;
    try {
      return new DirectFile(openSync(`/proc/self/fd/${file}`, constants.O_WRONLY | constants.O_DIRECT), scratch);
    } catch {
      return null;
    }
  }

  /**
   * @param bytes whole blocks, from the chunks' beginning
   * @param position of whole blocks
   * @returns how many were written: whole blocks, fewer where the disk takes no more of them in this way
   */
  write(chunks: readonly Uint8Array[], bytes: number, position: number): number {
    let done = 0;
    let index = 0;
    let offset = 0;
    while (done < bytes) {
      const step = Math.min(this.#memory.byteLength, bytes - done);
      for (let filled = 0; filled < step; ) {
        const part = chunks[index]!.subarray(offset, offset + step - filled);
        this.#memory.set(part, filled);
        filled += part.byteLength;
        offset += part.byteLength;
        if (offset < chunks[index]!.byteLength) continue;
        index += 1;
        offset = 0;
      }
      const written = this.#writeBlocks(step, position + done);
      done += written;
      if (written < step) break;
    }
    return done;
  }

  close(): void {
    closeSync(this.#file);
  }

  #writeBlocks(bytes: number, position: number): number {
    failpoint("file.call");
    try {
      const count = writeSync(this.#file, this.#memory, 0, bytes, position);
      return count - (count % BLOCK_BYTES);
    } catch (caught) {
      // Not in this way, on this disk.
      if ((caught as { code?: unknown }).code === "EINVAL") return 0;
      throw caught;
    }
  }
}
