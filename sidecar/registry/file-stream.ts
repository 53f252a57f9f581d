/** A file's bytes as a stream of pieces that a thread reads: no more are on their way than the reader will take soon. */
import { Readable } from "node:stream";
import { rebuildFault } from "./byte-faults.js";
import type { FromThread, ReadBegin } from "./byte-messages.js";
import type { ByteThreads, ThreadStream } from "./byte-threads.js";
import type { Flight } from "./flight.js";

/** Read ahead of one reader, where there is room; never less than a piece. */
const MAX_STREAM_BYTES = 4 * 1024 * 1024;

export interface FileStreamOptions {
  readonly threads: ByteThreads;
  readonly flight: Flight;
  readonly task: Omit<ReadBegin, "type" | "id">;
  /** The thread has let go of the file. */
  readonly onClosed: () => Promise<void>;
}

/** Each `data` is one piece: nobody joins or splits them. */
export class FileStream extends Readable {
  readonly #options: FileStreamOptions;
  readonly #stream: ThreadStream;
  readonly #maxPieces: number;
  #ready: Uint8Array[] = [];
  /** Granted to the thread and not come yet. */
  #coming = 0;
  #isWanted = false;
  #isComplete = false;

  constructor(options: FileStreamOptions) {
    super({ objectMode: true, highWaterMark: 1 });
    this.#options = options;
    this.#maxPieces = Math.max(1, Math.floor(MAX_STREAM_BYTES / options.task.pieceBytes));
    this.#stream = options.threads.attach((message) => this.#hear(message));
    this.#stream.post({ type: "read.begin", ...options.task });
  }

  override _read(): void {
    this.#isWanted = true;
    this.#give();
    this.#order();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    const { flight, task, onClosed } = this.#options;
    flight.release((this.#ready.length + this.#coming) * task.pieceBytes);
    this.#ready = [];
    this.#coming = 0;
    this.#stream
      .end()
      .then(onClosed)
      .then(() => callback(error), callback);
  }

  #hear(message: FromThread): void {
    if (this.destroyed) return;
    if (message.type === "fault") this.destroy(rebuildFault(message.fault));
    if (message.type === "piece") {
      this.#coming -= 1;
      this.#ready.push(message.piece);
    }
    if (message.type === "complete") this.#isComplete = true;
    this.#give();
  }

  #give(): void {
    const piece = this.#isWanted ? this.#ready.shift() : undefined;
    if (piece !== undefined) {
      this.#isWanted = false;
      this.#options.flight.release(this.#options.task.pieceBytes);
      this.push(Buffer.from(piece.buffer as ArrayBuffer, piece.byteOffset, piece.byteLength));
    }
    if (this.#isComplete && this.#ready.length === 0) this.push(null);
  }

  /** The piece that is wanted now is ordered in any case: it is what a slow reader holds. */
  #order(): void {
    const { flight, task } = this.#options;
    let pieces = 0;
    if (this.#isWanted && this.#coming === 0 && !this.#isComplete) {
      flight.take(task.pieceBytes);
      pieces = 1;
    }
    while (this.#ready.length + this.#coming + pieces < this.#maxPieces && flight.tryTake(task.pieceBytes)) pieces += 1;
    if (pieces === 0) return;
    this.#coming += pieces;
    this.#stream.post({ type: "credit", pieces });
  }
}
