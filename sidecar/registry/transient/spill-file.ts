/** A file without a name, which dies with the process: where bytes go that have no room in memory. */
import { randomUUID } from "node:crypto";
import { type FileHandle, open, unlink } from "node:fs/promises";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { fileCall } from "../../tasks/new-file.js";
import type { VerifiedFiles } from "../../tasks/verified-files.js";
import type { Seal } from "../archive/archive.js";
import { incomingName } from "../archive/archive-sweep.js";
import { onDisk } from "../archive/byte-faults.js";
import type { ByteThreads } from "../archive/byte-threads.js";
import { checkPart, FileStream, readingOf } from "../archive/file-stream.js";
import type { Slots } from "../archive/slots.js";
import type { DataOptions } from "../registry.js";

export interface SpillReading {
  readonly threads: ByteThreads;
  readonly slots: Slots;
  readonly verified: VerifiedFiles;
}

export class SpillFile {
  readonly #handle: FileHandle;
  #readers = 0;
  #isDropped = false;

  private constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  /** @param folder where a start sweeps what a crash left between the file's making and the loss of its name */
  static async create(folder: string): Promise<SpillFile> {
    const path = join(folder, incomingName(randomUUID()));
    const handle = await onDisk(fileCall(() => open(path, "wx+", 0o600)));
    try {
      await onDisk(fileCall(() => unlink(path)));
      return new SpillFile(handle);
    } catch (caught) {
      await handle.close();
      throw caught;
    }
  }

  get file(): number {
    return this.#handle.fd;
  }

  async stream(seal: Seal, options: DataOptions, { threads, slots, verified }: SpillReading): Promise<Readable> {
    this.#readers += 1;
    try {
      if (options.range !== undefined) await checkPart(verified, this.#handle, seal);
      const task = { file: this.file, ...readingOf(seal, options) };
      return new FileStream({ threads, slots, task, onClosed: () => this.#leave() });
    } catch (caught) {
      await this.#leave();
      throw caught;
    }
  }

  /** Gone when the last reader has gone. Idempotent. */
  async drop(): Promise<void> {
    if (this.#isDropped) return;
    this.#isDropped = true;
    if (this.#readers === 0) await this.#handle.close();
  }

  async #leave(): Promise<void> {
    this.#readers -= 1;
    if (this.#isDropped && this.#readers === 0) await this.#handle.close();
  }
}
