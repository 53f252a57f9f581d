/**
 * Which files matched their hash a short while ago: the parts of a big result are asked for one by one, and each would read the whole.
 * A file is known by its inode, size and times, so whoever writes to it makes it a stranger; and nothing is taken for granted for long,
 * since a disk can rot without telling.
 */
import { createHash } from "node:crypto";
import type { FileHandle } from "node:fs/promises";
import { LRUCache } from "lru-cache";
import { fileCall } from "./new-file.js";

const MAX_FILES = 1_000;
const TRUSTED_MS = 600_000;
const READ_CHUNK_BYTES = 256 * 1024;

export class VerifiedFiles {
  /** Hashes under way stand here too: many parts asked for at once read the file once. */
  readonly #hashes = new LRUCache<string, Promise<string>>({ max: MAX_FILES, ttl: TRUSTED_MS });
  readonly #readHash: (handle: FileHandle) => Promise<string>;

  /** @param read reads a whole file and hashes it; by default here, in hex */
  constructor(read: (handle: FileHandle) => Promise<string> = readHash) {
    this.#readHash = read;
  }

  /** The file's sha256, from a reading less than ten minutes old; with `fresh`, from one that begins now. */
  async hashOf(handle: FileHandle, { fresh }: { fresh: boolean }): Promise<string> {
    const { dev, ino, size, mtimeNs, ctimeNs } = await fileCall(() => handle.stat({ bigint: true }));
    const identity = `${dev}:${ino}:${size}:${mtimeNs}:${ctimeNs}`;
    const known = fresh ? undefined : this.#hashes.get(identity);
    if (known !== undefined) return known;
    const hash = this.#readHash(handle);
    this.#hashes.set(identity, hash);
    hash.catch(() => this.#hashes.delete(identity));
    return hash;
  }
}

async function readHash(handle: FileHandle): Promise<string> {
  const hash = createHash("sha256");
  const chunk = Buffer.allocUnsafe(READ_CHUNK_BYTES);
  for (let position = 0; ; ) {
    const { bytesRead } = await fileCall(() => handle.read(chunk, 0, chunk.byteLength, position));
    if (bytesRead === 0) return hash.digest("hex");
    hash.update(chunk.subarray(0, bytesRead));
    position += bytesRead;
  }
}
