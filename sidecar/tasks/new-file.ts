/** A file on its way to being durable: temporary, its bytes fsynced, renamed, the folder fsynced. */
import { randomUUID } from "node:crypto";
import { type FileHandle, open, rename, unlink } from "node:fs/promises";
import { join } from "node:path";
import { failpoint } from "../../core/runtime/failpoints.js";

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
  #open = true;

  private constructor(root: string, key: string, handle: FileHandle) {
    this.#root = root;
    this.#key = key;
    this.#handle = handle;
    this.#temporary = join(root, key + TEMPORARY);
  }

  static async create(root: string, folder: string): Promise<NewFile> {
    const key = `${folder}/${randomUUID()}`;
    failpoint("blob.before_create");
    return new NewFile(root, key, await fileCall(() => open(join(root, key + TEMPORARY), "wx", 0o600)));
  }

  async append(chunk: Buffer): Promise<void> {
    failpoint("blob.before_write");
    for (let offset = 0; offset < chunk.byteLength; ) {
      offset += (await fileCall(() => this.#handle.write(chunk, offset))).bytesWritten;
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

export async function syncFolder(folder: string): Promise<void> {
  const handle = await fileCall(() => open(folder, "r"));
  try {
    await fileCall(() => handle.sync());
  } finally {
    await handle.close();
  }
}
