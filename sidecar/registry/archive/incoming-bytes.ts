/**
 * The main thread's end of bytes that a thread writes or hashes: what waits is gathered, what is on its way is bounded, and whoever writes
 * waits for room.
 */
import type { SluiceError } from "../../../core/contract/errors.js";
import { rebuildFault } from "./byte-faults.js";
import type { FromThread } from "./byte-messages.js";
import type { ByteThreads, ThreadStream } from "./byte-threads.js";
import type { Flight } from "./flight.js";
import { Outbox } from "./outbox.js";

/** On their way, of one stream. */
const MAX_STREAM_BYTES = 6 * 1024 * 1024;
/** What waits is sent when it is so much, or as soon as nothing else is on its way. */
const BATCH_BYTES = 512 * 1024;
const BATCH_CHUNKS = 1_024;

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (fault: SluiceError) => void;
}

export interface IncomingTask {
  readonly threads: ByteThreads;
  readonly flight: Flight;
  /** Null: they are hashed and given back. */
  readonly file: number | null;
  readonly heldBytes: number;
  readonly isDurable: boolean;
  /** Gets what was hashed. */
  readonly onHashed?: (chunks: readonly Uint8Array[]) => void;
}

export class IncomingBytes {
  readonly #stream: ThreadStream;
  readonly #flight: Flight;
  readonly #onHashed: ((chunks: readonly Uint8Array[]) => void) | undefined;
  readonly #outbox = new Outbox();
  /** Written to us and not yet by the thread. */
  #bytes = 0;
  #postedBytes = 0;
  #fault: SluiceError | null = null;
  readonly #waiters: Waiter[] = [];
  #syncs: { readonly resolve: (hash: string | null) => void; readonly reject: (fault: SluiceError) => void }[] = [];

  constructor({ threads, flight, file, heldBytes, isDurable, onHashed }: IncomingTask) {
    this.#flight = flight;
    this.#onHashed = onHashed;
    this.#stream = threads.attach((message) => this.#hear(message));
    this.#stream.post({ type: "write.begin", file, heldBytes, isDurable });
  }

  /** Resolves when more may come. */
  write(chunk: Uint8Array): Promise<void> {
    if (this.#fault !== null) return Promise.reject(this.#fault);
    this.#bytes += chunk.byteLength;
    this.#flight.take(chunk.byteLength);
    this.#outbox.add(chunk);
    if (this.#postedBytes === 0 || this.#outbox.bytes >= BATCH_BYTES || this.#outbox.chunks >= BATCH_CHUNKS) {
      this.#post();
    }
    if (this.#mayGoOn()) return Promise.resolve();
    return new Promise((resolve, reject) => {
      if (this.#waiters.push({ resolve, reject }) === 1) this.#flight.wait(() => this.#wake());
    });
  }

  /** Resolves once all of it is on the disk; with `seal` to its hash. */
  sync(seal: boolean): Promise<string | null> {
    if (this.#fault !== null) return Promise.reject(this.#fault);
    this.#post();
    return new Promise((resolve, reject) => {
      this.#syncs.push({ resolve, reject });
      this.#stream.post({ type: "sync", seal });
    });
  }

  /** Resolves when the file is the caller's again; what was not synced may be lost. */
  async end(fault: SluiceError): Promise<void> {
    this.#fail(fault);
    await this.#stream.end();
  }

  #post(): void {
    const { chunks, transfer, bytes } = this.#outbox.take();
    if (bytes === 0) return;
    this.#postedBytes += bytes;
    this.#stream.post({ type: "write", chunks }, { transfer });
  }

  #hear(message: FromThread): void {
    if (this.#fault !== null) return;
    if (message.type === "fault") this.#fail(rebuildFault(message.fault));
    if (message.type === "synced") this.#syncs.shift()?.resolve(message.hash);
    if (message.type !== "written") return;
    if (message.chunks !== undefined) this.#onHashed?.(message.chunks);
    this.#postedBytes -= message.bytes;
    this.#bytes -= message.bytes;
    if (this.#postedBytes === 0) this.#post();
    this.#flight.release(message.bytes);
  }

  #mayGoOn(): boolean {
    return this.#bytes === 0 || (this.#bytes <= MAX_STREAM_BYTES && this.#flight.hasRoom);
  }

  #wake(): boolean {
    if (this.#fault === null && !this.#mayGoOn()) return false;
    for (const { resolve } of this.#waiters.splice(0)) resolve();
    return true;
  }

  #fail(fault: SluiceError): void {
    if (this.#fault !== null) return;
    this.#fault = fault;
    const waiting = [...this.#waiters.splice(0), ...this.#syncs.splice(0)];
    for (const { reject } of waiting) reject(fault);
    this.#outbox.take();
    this.#flight.release(this.#bytes);
    this.#bytes = 0;
  }
}
