/** A file on its way into the archive: written in a thread, sealed, and renamed to its place, each step on the disk before the next. */
import type { FileHandle } from "node:fs/promises";
import { chmod, lstat, mkdir, rename, unlink } from "node:fs/promises";
import { join } from "node:path";
import { SluiceError } from "../../../core/contract/errors.js";
import { failpoint } from "../../../core/runtime/failpoints.js";
import { fileCall, syncFolder } from "../../tasks/new-file.js";
import type { ArchivePlace, Incoming, Seal } from "./archive.js";
import { isPending, PENDING_MODE } from "./archive-sweep.js";
import { onDisk, unlessMissing } from "./byte-faults.js";
import type { IncomingBytes } from "./incoming-bytes.js";

export interface IncomingFileParts {
  readonly id: string;
  readonly root: string;
  readonly path: string;
  readonly handle: FileHandle;
  readonly bytes: IncomingBytes;
  readonly heldBytes: number;
  /** Folders whose own names are known to be on the disk. */
  readonly durableFolders: Set<string>;
  /** It is closed: kept, suspended or discarded. */
  readonly onClosed: () => void;
}

export class IncomingFile implements Incoming {
  readonly id: string;
  readonly #parts: IncomingFileParts;
  #receivedBytes: number;
  #isSealed = false;
  #closing: Promise<void> | undefined;

  constructor(parts: IncomingFileParts) {
    this.id = parts.id;
    this.#parts = parts;
    this.#receivedBytes = parts.heldBytes;
  }

  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  write(chunk: Uint8Array): Promise<void> {
    if (this.#isSealed) return Promise.reject(new SluiceError("INTERNAL", "a sealed file takes no more"));
    this.#receivedBytes += chunk.byteLength;
    return this.#parts.bytes.write(chunk);
  }

  async sync(): Promise<void> {
    await this.#parts.bytes.sync(false);
  }

  async seal(): Promise<Seal> {
    this.#isSealed = true;
    // With the bytes' own sync, so that it needs none of its own.
    await onDisk(fileCall(() => this.#parts.handle.chmod(PENDING_MODE)));
    const hash = await this.#parts.bytes.sync(true);
    await this.#close();
    return { hash: hash!, bytes: this.#receivedBytes };
  }

  async keep({ folder, file }: ArchivePlace): Promise<void> {
    const { root, path } = this.#parts;
    const target = join(root, folder);
    await onDisk(this.#makeFolder(target));
    await refuseTaken(join(target, file));
    failpoint("archive.before_rename");
    await onDisk(fileCall(() => rename(path, join(target, file))));
    failpoint("archive.after_rename");
    await onDisk(syncFolder(target));
    failpoint("archive.after_keep");
  }

  suspend(): Promise<void> {
    return this.#close();
  }

  async discard(): Promise<void> {
    await this.#close();
    await unlink(this.#parts.path).catch(unlessMissing);
  }

  async #makeFolder(target: string): Promise<void> {
    const { root, durableFolders } = this.#parts;
    if (durableFolders.has(target)) return;
    // One that is there may be what a crash, or a sync that failed, left.
    await fileCall(() => mkdir(target, { recursive: true, mode: 0o700 }));
    await syncFolder(root);
    durableFolders.add(target);
  }

  #close(): Promise<void> {
    this.#closing ??= (async () => {
      const { bytes, handle, onClosed } = this.#parts;
      await bytes.end(new SluiceError("STORE_FAILED", "this upload has ended"));
      await handle.close();
      onClosed();
    })();
    return this.#closing;
  }
}

/** Nothing replaces a version, whatever a database says. */
async function refuseTaken(path: string): Promise<void> {
  const there = await onDisk(fileCall(() => lstat(path)).catch(unlessMissing));
  if (there === undefined || isPending(there)) return;
  throw new SluiceError("STORE_FAILED", "a version that the database does not know lies where a new one must go", {
    hint: "Restart the registry: it leaves such versions alone and counts on from above them.",
  });
}

/** A sealed file is read-only; whoever goes on with it must write. */
export async function makeWritable(path: string): Promise<void> {
  await fileCall(() => chmod(path, 0o600));
}
