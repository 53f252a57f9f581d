/** Writes and bodies as one process sees the simulated disk: they take time, fail while it is bad, and die with the process. */
import { Readable } from "node:stream";
import { SluiceError } from "../../core/contract/errors.js";
import type { BlobStore, StoredBody } from "../../sidecar/tasks/store.js";
import type { Disk } from "./memory-store.js";
import type { SidecarProcess } from "./sidecar-process.js";
import type { World } from "./world.js";

/** Above it a body is a file: small, so that both kinds are met. */
const INLINE_BYTES = 100;
/** Between a commit and the moment its caller hears of it: a crash may come in between. */
const HEARD_AFTER_MS = 0.2;

interface Pending {
  /** Applies the change, and says what its caller is to be told. */
  readonly commit: () => () => void;
  readonly fail: (cause: Error) => void;
}

/** One writer; all that came together is committed together. */
export class MemoryDisk implements Disk {
  readonly #world: World;
  readonly #process: SidecarProcess;
  #pending: Pending[] = [];

  constructor(world: World, process: SidecarProcess) {
    this.#world = world;
    this.#process = process;
  }

  write<Value>(change: () => Value): Promise<Value> {
    return new Promise((resolve, reject) => {
      const commit = () => {
        try {
          const value = change();
          return () => resolve(value);
        } catch (cause) {
          return () => reject(cause);
        }
      };
      this.#pending.push({ commit, fail: reject });
      if (this.#pending.length === 1) this.#process.after(this.#latencyMs(), () => this.#commit());
    });
  }

  #latencyMs(): number {
    const { random, plan } = this.#world;
    return random.chance(0.01) && !this.#world.isHealed ? 2_000 * random.next() : plan.commitMs * random.next();
  }

  #commit(): void {
    const batch = this.#pending;
    this.#pending = [];
    try {
      this.#world.refuseWhileBad();
    } catch (cause) {
      this.#world.tell({ type: "write-refused" });
      for (const { fail } of batch) fail(cause as Error);
      return;
    }
    const tellings = batch.map(({ commit }) => commit());
    this.#process.after(HEARD_AFTER_MS, () => {
      for (const tell of tellings) tell();
    });
  }
}

export class MemoryBlobs implements BlobStore {
  readonly #world: World;
  readonly #process: SidecarProcess;

  constructor(world: World, process: SidecarProcess) {
    this.#world = world;
    this.#process = process;
  }

  async write(_kind: "payload" | "result", source: AsyncIterable<Buffer>): Promise<StoredBody> {
    const chunks: Buffer[] = [];
    for await (const chunk of source) chunks.push(chunk);
    return this.keep(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks));
  }

  async keep(bytes: Buffer): Promise<StoredBody> {
    const sha256 = `${bytes.length}:${bytes.toString("latin1", 0, 40)}`;
    if (bytes.length <= INLINE_BYTES) return { kind: "inline", bytes, sha256 };
    await this.#process.clock.sleep(this.#world.plan.commitMs * this.#world.random.next());
    this.#world.refuseWhileBad();
    const key = this.#world.nextBlobKey();
    this.#world.blobs.set(key, bytes);
    return { kind: "blob", key, size: bytes.length, sha256 };
  }

  async open(body: StoredBody): Promise<NodeJS.ReadableStream> {
    const bytes = body.kind === "inline" ? body.bytes : this.#world.blobs.get(body.key);
    if (bytes === undefined) throw new SluiceError("RESULT_DAMAGED", "a stored body is missing");
    return Readable.from([bytes]);
  }

  async duplicate(body: StoredBody): Promise<StoredBody> {
    if (body.kind === "inline") return body;
    const key = this.#world.nextBlobKey();
    this.#world.blobs.set(key, this.#world.blobs.get(body.key)!);
    return { ...body, key };
  }

  async remove(key: string): Promise<void> {
    this.#world.blobs.delete(key);
  }

  async probe(): Promise<void> {
    this.#world.refuseWhileBad();
  }

  async sweep(isNamed: (key: string) => boolean): Promise<number> {
    const lost = [...this.#world.blobs.keys()].filter((key) => !isNamed(key));
    for (const key of lost) this.#world.blobs.delete(key);
    return lost.length;
  }
}
