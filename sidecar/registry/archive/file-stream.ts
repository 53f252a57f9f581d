/** A file's bytes as a stream of pieces, read in a thread into shared slots: no more than the reader will take soon. */
import type { FileHandle } from "node:fs/promises";
import { Readable } from "node:stream";
import type { VerifiedFiles } from "../../tasks/verified-files.js";
import type { DataOptions } from "../registry.js";
import type { Seal } from "./archive.js";
import { damagedVersion, rebuildFault } from "./byte-faults.js";
import type { FromThread, ReadBegin } from "./byte-messages.js";
import type { ByteThreads, ThreadStream } from "./byte-threads.js";
import { takePiece } from "./pieces.js";
import type { Slot, Slots } from "./slots.js";

/** Read ahead of one reader, where there are slots to spare. */
const MAX_STREAM_SLOTS = 3;

export interface FileStreamOptions {
  readonly threads: ByteThreads;
  readonly slots: Slots;
  readonly task: Omit<ReadBegin, "type" | "id">;
  /** The thread has let go of the file. */
  readonly onClosed: () => Promise<void>;
}

/** What is read of a sealed file: all of it, held against its hash on the way, or a part, which {@link checkPart} must come before. */
export function readingOf({ hash, bytes: allBytes }: Seal, { range, chunkBytes }: DataOptions) {
  const bytes = range === undefined ? allBytes : range.last - range.first + 1;
  return {
    first: range?.first ?? 0,
    bytes,
    pieceBytes: Math.max(1, Math.min(chunkBytes, bytes)),
    mode: range === undefined ? ("checked" as const) : ("plain" as const),
    hash,
  };
}

/** Rests on a check up to ten minutes old. @throws VERSION_DAMAGED */
export async function checkPart(verified: VerifiedFiles, handle: FileHandle, { hash }: Seal): Promise<void> {
  const found = await verified.hashOf(handle, { fresh: false });
  if (found !== hash) throw damagedVersion("does not match its hash");
}

/** Each `data` is one piece: nobody joins or splits them. */
export class FileStream extends Readable {
  readonly #options: FileStreamOptions;
  readonly #stream: ThreadStream;
  /** The thread's, until it says otherwise. */
  readonly #coming = new Map<number, Slot>();
  readonly #ready: { readonly slot: Slot; readonly bytes: number }[] = [];
  #piece: Buffer | null = null;
  #pieceBytes = 0;
  #doneBytes = 0;
  #isWanted = false;
  #isAsking = false;
  #isComplete = false;

  constructor(options: FileStreamOptions) {
    super({ objectMode: true, highWaterMark: 1 });
    this.#options = options;
    this.#stream = options.threads.attach((message) => this.#hear(message));
    this.#stream.post({ type: "read.begin", ...options.task });
  }

  override _read(): void {
    this.#isWanted = true;
    this.#advance();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    for (const { slot } of this.#ready.splice(0)) this.#options.slots.give(slot);
    this.#piece = null;
    this.#stream
      .end()
      .then(() => this.#giveBack())
      .then(this.#options.onClosed)
      .then(() => callback(error), callback);
  }

  #hear(message: FromThread): void {
    if (message.type === "ended") this.#giveBack();
    if (this.destroyed) return;
    if (message.type === "fault") this.destroy(rebuildFault(message.fault));
    if (message.type === "complete") this.#isComplete = true;
    if (message.type === "filled") {
      this.#ready.push({ slot: this.#coming.get(message.slot)!, bytes: message.bytes });
      this.#coming.delete(message.slot);
    }
    this.#advance();
  }

  #advance(): void {
    if (this.destroyed) return;
    while (this.#isWanted && this.#ready.length > 0) this.#gather();
    if (this.#isComplete && this.#ready.length === 0 && this.#piece === null) this.push(null);
    else this.#order();
  }

  /** Slots end where pieces do. */
  #gather(): void {
    const { slots, task } = this.#options;
    const { slot, bytes } = this.#ready.shift()!;
    this.#piece ??= takePiece(Math.min(task.pieceBytes, task.bytes - this.#doneBytes));
    slot.bytes.copy(this.#piece, this.#pieceBytes, 0, bytes);
    slots.give(slot);
    this.#pieceBytes += bytes;
    if (this.#pieceBytes < this.#piece.byteLength) return;
    const piece = this.#piece;
    this.#doneBytes += piece.byteLength;
    this.#piece = null;
    this.#pieceBytes = 0;
    this.#isWanted = false;
    this.push(piece);
  }

  /** What is wanted now gets a slot in its turn; what is read ahead only takes what is to spare. */
  #order(): void {
    const { slots, task } = this.#options;
    if (this.#isComplete || task.bytes === 0) return;
    if (this.#isWanted && this.#coming.size === 0 && !this.#isAsking) {
      this.#isAsking = true;
      slots.take((slot) => {
        this.#isAsking = false;
        if (this.destroyed || this.#isComplete) slots.give(slot);
        else this.#fill(slot);
      });
    }
    while (this.#ready.length + this.#coming.size < MAX_STREAM_SLOTS) {
      const slot = slots.takeSpare();
      if (slot === null) return;
      this.#fill(slot);
    }
  }

  #fill(slot: Slot): void {
    this.#coming.set(slot.key, slot);
    this.#stream.post({ type: "fill", slot: slot.key }, { slot });
  }

  /** The thread has no use for them any more. */
  #giveBack(): void {
    for (const slot of this.#coming.values()) this.#options.slots.give(slot);
    this.#coming.clear();
  }
}
