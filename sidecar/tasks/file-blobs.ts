/**
 * Bodies above 64 KiB as files in `<data_dir>/payloads` and `<data_dir>/results`.
 *
 * Durable in this order: temporary file, its bytes fsynced, rename, the folder fsynced; only then may a row name it. A crash in
 * between leaves a file that no row names, and the sweep at start removes it. Never more than a chunk is in memory.
 */
import { createHash, randomUUID } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, link, mkdir, open, opendir, unlink } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { isDiskFull, SluiceError } from "../../core/contract/errors.js";
import { failpoint } from "../../core/runtime/failpoints.js";
import { fileCall, NewFile, syncFolder, TEMPORARY } from "./new-file.js";
import { pulled } from "./pulled.js";
import type { BlobStore, OpenOptions, Patience, StoredBody } from "./store.js";
import { VerifiedFiles } from "./verified-files.js";

/** Up to this many bytes a body stands in the database's row. */
export const INLINE_BYTES = 64 * 1024;

const FOLDERS = { payload: "payloads", result: "results" } as const;
type Kind = keyof typeof FOLDERS;

/** `payloads/<uuid>` or `results/<uuid>`: nothing a caller sends is ever part of a path. */
const KEY = /^(?:payloads|results)\/[0-9a-f-]{36}$/;
const READ_CHUNK_BYTES = 256 * 1024;

interface WriteLimits {
  readonly maxBytes: number;
  readonly idleTimeoutMs: number;
  readonly whenFull?: Patience;
}

export class FileBlobs implements BlobStore {
  readonly #root: string;
  readonly #verified = new VerifiedFiles();

  private constructor(root: string) {
    this.#root = root;
  }

  /** Makes the folders when missing. */
  static async open(dataDir: string): Promise<FileBlobs> {
    for (const folder of Object.values(FOLDERS)) {
      await fileCall(() => mkdir(join(dataDir, folder), { recursive: true, mode: 0o700 }));
    }
    await syncFolder(dataDir);
    return new FileBlobs(dataDir);
  }

  async write(kind: Kind, source: AsyncIterable<Buffer>, limits: WriteLimits): Promise<StoredBody> {
    const hash = createHash("sha256");
    let held: Buffer[] = [];
    let size = 0;
    let file: NewFile | null = null;
    try {
      for await (const chunk of pulled(source, limits.idleTimeoutMs)) {
        size += chunk.byteLength;
        if (size > limits.maxBytes) throw tooLarge(limits.maxBytes);
        hash.update(chunk);
        if (file === null && size > INLINE_BYTES) {
          file = await onDisk(NewFile.create(this.#root, FOLDERS[kind], limits.whenFull));
          await onDisk(file.append(Buffer.concat(held)));
          held = [];
        }
        if (file === null) held.push(chunk);
        else await onDisk(file.append(chunk));
      }
      const sha256 = hash.digest("hex");
      if (file === null) return { kind: "inline", bytes: Buffer.concat(held), sha256 };
      return { kind: "blob", key: await onDisk(file.keep()), size, sha256 };
    } catch (caught) {
      await file?.discard();
      throw caught;
    }
  }

  async open(body: StoredBody, { verify = false, range }: OpenOptions = {}): Promise<Readable> {
    if (body.kind === "inline") {
      if (verify) compare(createHash("sha256").update(body.bytes).digest("hex"), body.sha256);
      const bytes = range === undefined ? body.bytes : body.bytes.subarray(range.start, range.end + 1);
      return Readable.from(bytes.byteLength === 0 ? [] : [bytes], { objectMode: false });
    }
    const handle = await this.#openFile(body.key);
    try {
      const { size } = await fileCall(() => handle.stat());
      if (size !== body.size) throw damaged();
      if (verify) compare(await this.#verified.hashOf(handle, { fresh: range === undefined }), body.sha256);
      return handle.createReadStream({ start: 0, ...range, highWaterMark: READ_CHUNK_BYTES });
    } catch (caught) {
      await handle.close();
      throw caught;
    }
  }

  /** A second name for the same file: nothing is copied, and each name goes with its own row. */
  async duplicate(body: StoredBody): Promise<StoredBody> {
    const checked = await this.open(body, { verify: true });
    checked.destroy();
    if (body.kind === "inline") return body;
    const key = `${FOLDERS.result}/${randomUUID()}`;
    failpoint("blob.before_link");
    await onDisk(fileCall(() => link(this.#path(body.key), join(this.#root, key))));
    await onDisk(syncFolder(join(this.#root, FOLDERS.result)));
    return { ...body, key };
  }

  /** An open file survives its name: a download that is under way ends as it began. */
  async remove(key: string): Promise<void> {
    const path = this.#path(key);
    failpoint("blob.before_remove");
    await fileCall(() => unlink(path)).catch(unlessMissing);
    failpoint("blob.after_remove");
  }

  async sweep(isNamed: (key: string) => boolean): Promise<number> {
    let removed = 0;
    for (const folder of Object.values(FOLDERS)) {
      for await (const entry of await fileCall(() => opendir(join(this.#root, folder)))) {
        const key = `${folder}/${entry.name}`;
        const ours = entry.name.endsWith(TEMPORARY) || KEY.test(key);
        if (!entry.isFile() || !ours || isNamed(key)) continue;
        failpoint("sweep.before_remove");
        await fileCall(() => unlink(join(this.#root, key))).catch(unlessMissing);
        removed += 1;
      }
    }
    return removed;
  }

  async isEmpty(): Promise<boolean> {
    for (const folder of Object.values(FOLDERS)) {
      for await (const { name } of await fileCall(() => opendir(join(this.#root, folder)))) {
        if (KEY.test(`${folder}/${name}`)) return false;
      }
    }
    return true;
  }

  async probe(kind: Kind): Promise<void> {
    const file = await NewFile.create(this.#root, FOLDERS[kind]);
    try {
      await file.append(Buffer.from("probe"));
      await this.remove(await file.keep());
    } catch (caught) {
      await file.discard();
      throw caught;
    }
  }

  async #openFile(key: string): Promise<FileHandle> {
    try {
      return await fileCall(() => open(this.#path(key), constants.O_RDONLY | constants.O_NOFOLLOW));
    } catch (caught) {
      if ((caught as { code?: unknown }).code === "ENOENT") throw damaged();
      throw caught;
    }
  }

  #path(key: string): string {
    if (!KEY.test(key)) throw new SluiceError("INTERNAL", "a blob's key is malformed");
    return join(this.#root, key);
  }
}

/** What the disk refuses is no fault of the request's, and none of ours. */
async function onDisk<Value>(step: Promise<Value>): Promise<Value> {
  try {
    return await step;
  } catch (cause) {
    if (isDiskFull(cause)) throw cause;
    throw new SluiceError("STORE_FAILED", "the data folder cannot be written", { cause, retryAfterMs: 5_000 });
  }
}

function compare(found: string, stored: string): void {
  if (found !== stored) throw damaged();
}

function damaged(): SluiceError {
  return new SluiceError("RESULT_DAMAGED", "what was stored is missing or does not match its hash");
}

function tooLarge(maxBytes: number): SluiceError {
  return new SluiceError("BODY_TOO_LARGE", `the body is larger than ${maxBytes} bytes, the limit`);
}

function unlessMissing(caught: unknown): void {
  if ((caught as { code?: unknown }).code !== "ENOENT") throw caught;
}
