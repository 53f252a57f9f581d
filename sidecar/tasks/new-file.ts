/** A file on its way to being durable: temporary, its bytes fsynced, renamed, the folder fsynced. */
import { randomUUID } from "node:crypto";
import { type FileHandle, open, rename, unlink } from "node:fs/promises";
import { join } from "node:path";
import { isDiskFull } from "../../core/contract/errors.js";
import { sleep } from "../../core/runtime/clock.js";
import { failpoint } from "../../core/runtime/failpoints.js";
import type { Patience } from "./store.js";

/** Between two looks whether a full disk has space again. */
const SPACE_PAUSE_MS = 500;

/** What a name ends in while its file is not whole. */
export const TEMPORARY = ".part";

/** Every call for a file passes here, so that a test can make the n-th of them fail. */
export async function fileCall<Value>(call: () => Promise<Value>): Promise<Value> {
  failpoint("file.call");
  return call();
}

/** Either {@link NewFile.keep} or {@link NewFile.discard} ends it. */
export class NewFile {
  readonly #handle: FileHandle;
  readonly #root: string;
  readonly #key: string;
  readonly #temporary: string;
  readonly #whenFull: Patience | undefined;
  #open = true;

  private constructor(root: string, key: string, handle: FileHandle, whenFull: Patience | undefined) {
    this.#root = root;
    this.#key = key;
    this.#handle = handle;
    this.#whenFull = whenFull;
    this.#temporary = join(root, key + TEMPORARY);
  }

  static async create(root: string, folder: string, whenFull?: Patience): Promise<NewFile> {
    const key = `${folder}/${randomUUID()}`;
    failpoint("blob.before_create");
    const handle = await patiently(whenFull, () => fileCall(() => open(join(root, key + TEMPORARY), "wx", 0o600)));
    return new NewFile(root, key, handle, whenFull);
  }

  async append(chunk: Buffer): Promise<void> {
    failpoint("blob.before_write");
    for (let offset = 0; offset < chunk.byteLength; ) {
      // What a full disk refuses is not written, so it can be tried again; a failed fsync could not.
      const write = () => fileCall(() => this.#handle.write(chunk, offset));
      offset += (await patiently(this.#whenFull, write)).bytesWritten;
    }
  }

  /** @returns the key, once file and name are on disk */
  async keep(): Promise<string> {
    failpoint("blob.before_sync");
    await fileCall(() => this.#handle.sync());
    await fileCall(() => this.#handle.close());
    this.#open = false;
    failpoint("blob.before_rename");
    await fileCall(() => rename(this.#temporary, join(this.#root, this.#key)));
    failpoint("blob.after_rename");
    await syncFolder(join(this.#root, this.#key, ".."));
    failpoint("blob.after_sync");
    return this.#key;
  }

  /** Removes whatever there is of it. Never throws: it runs while another error is on its way. */
  async discard(): Promise<void> {
    if (this.#open) await this.#handle.close().catch(() => {});
    await unlink(this.#temporary).catch(() => {});
    await unlink(join(this.#root, this.#key)).catch(() => {});
  }
}

/** Tries again while the disk is full. */
async function patiently<Value>(patience: Patience | undefined, call: () => Promise<Value>): Promise<Value> {
  if (patience === undefined) return call();
  const untilMs = performance.now() + patience.forMs;
  for (;;) {
    try {
      return await call();
    } catch (caught) {
      if (!isDiskFull(caught) || patience.signal.aborted || performance.now() >= untilMs) throw caught;
      await sleep(SPACE_PAUSE_MS, patience.signal);
    }
  }
}

export async function syncFolder(folder: string): Promise<void> {
  const handle = await fileCall(() => open(folder, "r"));
  try {
    await fileCall(() => handle.sync());
  } finally {
    await handle.close();
  }
}
