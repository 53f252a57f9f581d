/** Files of uploads in pieces that wait for their next piece: a few stay open, since opening one again means hashing all that it holds. */
import type { Archive, Incoming } from "./archive.js";
import type { StoredUpload } from "./registry-store.js";

const MAX_OPEN = 16;

export class OpenIncoming {
  readonly #archive: Archive;
  /** By their file's id, the longest idle first. */
  readonly #open = new Map<string, Incoming>();

  constructor(archive: Archive) {
    this.#archive = archive;
  }

  /** Keeps it open for a while; the file stays in any case. */
  async put(incoming: Incoming): Promise<void> {
    this.#open.set(incoming.id, incoming);
    if (this.#open.size <= MAX_OPEN) return;
    const [oldest] = this.#open.values();
    this.#open.delete(oldest!.id);
    // Its row says what is on the disk: nothing hangs on the end of the rest.
    await oldest!.suspend().catch(() => {});
  }

  /** @returns it with exactly the bytes that are there for good; null where it is gone */
  async take({ incoming, offsetBytes }: StoredUpload): Promise<Incoming | null> {
    const open = this.#open.get(incoming);
    this.#open.delete(incoming);
    if (open?.receivedBytes === offsetBytes) return open;
    await open?.suspend();
    return this.#archive.resume(incoming, offsetBytes);
  }

  /** With its file. */
  async remove({ incoming }: StoredUpload): Promise<void> {
    const open = this.#open.get(incoming) ?? (await this.#archive.resume(incoming, 0));
    this.#open.delete(incoming);
    await open?.discard();
  }

  async close(): Promise<void> {
    await Promise.allSettled([...this.#open.values()].map((incoming) => incoming.suspend()));
    this.#open.clear();
  }
}
