/**
 * The archive as files. A version arrives as `incoming/<uuid>.sluice` and gets its place by a rename once it is whole and on the disk; a crash in
 * between leaves a file that no row names, and the sweep at start removes it. Files are opened and closed here; their bytes pass through
 * threads.
 */
import { randomUUID } from "node:crypto";
import { constants } from "node:fs";
import { chmod, type FileHandle, mkdir, open, unlink } from "node:fs/promises";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { SluiceError } from "../../../core/contract/errors.js";
import { failpoint } from "../../../core/runtime/failpoints.js";
import type { Logger } from "../../../core/runtime/logger.js";
import { fileCall, syncFolder } from "../../tasks/new-file.js";
import { VerifiedFiles } from "../../tasks/verified-files.js";
import type { DataOptions } from "../registry.js";
import type { Archive, ArchivePlace, FileProblem, Incoming, NamedFiles, OpenFile, Seal } from "./archive.js";
import {
  INCOMING_FOLDER,
  incomingName,
  isPending,
  removeVersions,
  SETTLED_MODE,
  sweepArchive,
} from "./archive-sweep.js";
import { asArchiveFault, damagedVersion, onDisk, unlessMissing } from "./byte-faults.js";
import { ByteThreads } from "./byte-threads.js";
import { checkPart, FileStream, readingOf } from "./file-stream.js";
import { Flight } from "./flight.js";
import { hashFile } from "./hash-file.js";
import { IncomingBytes } from "./incoming-bytes.js";
import { IncomingFile, makeWritable } from "./incoming-file.js";
import { Slots } from "./slots.js";

const NAME = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,200}$/;
/** A MiB each. */
const READ_SLOTS = 16;
/** On their way to the disk. */
const MAX_WRITE_BYTES = 48 * 1024 * 1024;
/** Each holds a piece at least, however slow its reader is. */
const MAX_OPEN_FILES = 512;
const DEFAULT_THREADS = 2;

export interface ArchiveOptions {
  /** Made when missing. */
  readonly dir: string;
  readonly logger: Logger;
  /** That work on bytes. Default 2 */
  readonly threads?: number;
}

export async function openArchive({ dir, logger, threads = DEFAULT_THREADS }: ArchiveOptions): Promise<FileArchive> {
  await onDisk(fileCall(() => mkdir(join(dir, INCOMING_FOLDER), { recursive: true, mode: 0o700 })));
  await onDisk(syncFolder(dir));
  return new FileArchive(dir, new ByteThreads(threads, logger));
}

export class FileArchive implements Archive {
  readonly #root: string;
  readonly #threads: ByteThreads;
  readonly #reading = new Slots(READ_SLOTS);
  readonly #writing = new Flight(MAX_WRITE_BYTES);
  readonly #verified: VerifiedFiles;
  readonly #incoming = new Set<IncomingFile>();
  readonly #streams = new Set<FileStream>();
  #isClosed = false;
  readonly #durableFolders = new Set<string>();

  constructor(root: string, threads: ByteThreads) {
    this.#root = root;
    this.#threads = threads;
    this.#verified = new VerifiedFiles((handle) => hashFile(threads, handle));
  }

  async receive(): Promise<Incoming> {
    this.#refuseClosed();
    const id = randomUUID();
    failpoint("archive.before_create");
    const handle = await onDisk(fileCall(() => open(this.#incomingPath(id), "wx", 0o600)));
    return this.#take(id, handle, 0);
  }

  async resume(id: string, heldBytes?: number): Promise<Incoming | null> {
    this.#refuseClosed();
    const path = this.#incomingPath(id);
    try {
      await makeWritable(path);
      const handle = await fileCall(() => open(path, constants.O_RDWR | constants.O_NOFOLLOW));
      const { size } = await fileCall(() => handle.stat());
      if (size >= (heldBytes ?? 0)) return this.#take(id, handle, heldBytes ?? size);
      await handle.close();
    } catch (caught) {
      if ((caught as { code?: unknown }).code !== "ENOENT") throw asArchiveFault(caught);
    }
    return null;
  }

  async open(place: ArchivePlace, seal: Seal, options: DataOptions): Promise<OpenFile> {
    if (this.#streams.size >= MAX_OPEN_FILES) {
      throw new SluiceError("REGISTRY_BUSY", "too many downloads are under way", { retryAfterMs: 5_000 });
    }
    const handle = await this.#openFile(place);
    try {
      const size = await sizeOfVersion(handle);
      if (size !== seal.bytes) throw damagedVersion(size < seal.bytes ? "is shorter than it must be" : "is too long");
      if (options.range !== undefined) await checkPart(this.#verified, handle, seal);
      return { stream: this.#stream(handle, seal, options) };
    } catch (caught) {
      await handle.close();
      throw asArchiveFault(caught);
    }
  }

  async verify(place: ArchivePlace, seal: Seal, { fresh }: { readonly fresh: boolean }): Promise<FileProblem | null> {
    let handle: FileHandle | undefined;
    try {
      handle = await this.#openFile(place);
      const size = await sizeOfVersion(handle);
      if (size !== seal.bytes) return size < seal.bytes ? "short" : "long";
      return (await this.#verified.hashOf(handle, { fresh })) === seal.hash ? null : "damaged";
    } catch (caught) {
      const { code } = asArchiveFault(caught);
      if (code === "SHUTTING_DOWN") throw caught;
      return code === "REGISTRY_VERSION_UNKNOWN" ? "missing" : "unreadable";
    } finally {
      await handle?.close();
    }
  }

  async settle(place: ArchivePlace): Promise<void> {
    await onDisk(fileCall(() => chmod(this.pathOf(place), SETTLED_MODE)));
  }

  async remove(place: ArchivePlace): Promise<void> {
    failpoint("archive.before_remove");
    await onDisk(fileCall(() => unlink(this.pathOf(place))).catch(unlessMissing));
    failpoint("archive.after_remove");
  }

  async removeFolder(folder: string): Promise<void> {
    failpoint("archive.before_remove_folder");
    const path = join(this.#root, checkedName(folder));
    this.#durableFolders.delete(path);
    await onDisk(removeVersions(path));
  }

  async sweep(names: NamedFiles): Promise<number> {
    return onDisk(sweepArchive(this.#root, names));
  }

  pathOf({ folder, file }: ArchivePlace): string {
    return join(this.#root, checkedName(folder), checkedName(file));
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const stream of this.#streams) {
      stream.destroy(new SluiceError("SHUTTING_DOWN", "the registry's archive is closed"));
    }
    await Promise.race([
      Promise.allSettled([...this.#incoming].map((incoming) => incoming.suspend())),
      this.#threads.close(),
    ]);
    await this.#threads.close();
  }

  #take(id: string, handle: FileHandle, heldBytes: number): Incoming {
    const task = { threads: this.#threads, flight: this.#writing, file: handle.fd, heldBytes, isDurable: true };
    const incoming: IncomingFile = new IncomingFile({
      id,
      root: this.#root,
      path: this.#incomingPath(id),
      handle,
      bytes: new IncomingBytes(task),
      heldBytes,
      durableFolders: this.#durableFolders,
      onClosed: () => this.#incoming.delete(incoming),
    });
    this.#incoming.add(incoming);
    return incoming;
  }

  #stream(handle: FileHandle, seal: Seal, options: DataOptions): Readable {
    const stream: FileStream = new FileStream({
      threads: this.#threads,
      slots: this.#reading,
      task: { file: handle.fd, ...readingOf(seal, options) },
      onClosed: () => {
        this.#streams.delete(stream);
        return handle.close();
      },
    });
    this.#streams.add(stream);
    return stream;
  }

  async #openFile(place: ArchivePlace): Promise<FileHandle> {
    try {
      return await fileCall(() => open(this.pathOf(place), constants.O_RDONLY | constants.O_NOFOLLOW));
    } catch (caught) {
      if ((caught as { code?: unknown }).code !== "ENOENT") throw asArchiveFault(caught);
      throw new SluiceError("REGISTRY_VERSION_UNKNOWN", "the bytes of this version are gone", {
        hint: "'sluice registry verify' lists what is missing; restore it from a backup.",
      });
    }
  }

  #refuseClosed(): void {
    if (this.#isClosed) throw new SluiceError("SHUTTING_DOWN", "the registry's archive is closed");
  }

  #incomingPath(id: string): string {
    return join(this.#root, INCOMING_FOLDER, incomingName(checkedName(id)));
  }
}

/** In bytes. One that a crash left looking like a leftover is made to look like the version it is. */
async function sizeOfVersion(handle: FileHandle): Promise<number> {
  const stats = await fileCall(() => handle.stat());
  if (isPending(stats)) await fileCall(() => handle.chmod(SETTLED_MODE)).catch(() => {});
  return stats.size;
}

/** Names are made by whoever knows the models; none of them may ever lead out of the archive. */
function checkedName(name: string): string {
  if (!NAME.test(name)) throw new SluiceError("INTERNAL", "a name in the archive is malformed");
  return name;
}
