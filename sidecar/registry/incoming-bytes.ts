/**
 * The main thread's end of bytes that a thread writes or hashes: they are copied into shared slots, small chunks together, and whoever
 * brings more than there are slots for waits.
 */
import type { SluiceError } from "../../core/contract/errors.js";
import { rebuildFault } from "./byte-faults.js";
import type { FromThread } from "./byte-messages.js";
import type { ByteThreads, ThreadStream } from "./byte-threads.js";
import { SLOT_BYTES, type Slot, type Slots } from "./slots.js";

/** Of one stream, on their way. */
const MAX_STREAM_SLOTS = 6;

export interface IncomingTask {
  readonly threads: ByteThreads;
  readonly slots: Slots;
  /** Null: they are only hashed. */
  readonly file: number | null;
  readonly heldBytes: number;
  readonly isDurable: boolean;
  /** Gets what was hashed, in order; its own from then on. */
  readonly onHashed?: (chunk: Uint8Array) => void;
}

interface Waiter<Value> {
  readonly resolve: (value: Value) => void;
  readonly reject: (fault: SluiceError) => void;
}

export class IncomingBytes {
  readonly #task: IncomingTask;
  readonly #stream: ThreadStream;
  /** The thread's, until it says otherwise. */
  readonly #posted = new Map<number, Slot>();
  #filling: Slot | null = null;
  #filledBytes = 0;
  /** What has no slot yet, in order; each its writer waits for. */
  readonly #queue: { rest: Uint8Array; readonly waiter: Waiter<void> }[] = [];
  #isAsking = false;
  readonly #syncs: Waiter<string | null>[] = [];
  #fault: SluiceError | null = null;

  constructor(task: IncomingTask) {
    const { threads, file, heldBytes, isDurable } = task;
    this.#task = task;
    this.#stream = threads.attach((message) => this.#hear(message));
    this.#stream.post({ type: "write.begin", file, heldBytes, isDurable });
  }

  /** Resolves when more may come. */
  write(chunk: Uint8Array): Promise<void> {
    if (this.#fault !== null) return Promise.reject(this.#fault);
    return new Promise((resolve, reject) => {
      this.#queue.push({ rest: chunk, waiter: { resolve, reject } });
      this.#advance();
    });
  }

  /** Resolves once all of it is on the disk; with `seal` to its hash. Only what was awaited before is part of it. */
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
    this.#giveBack();
  }

  #advance(): void {
    while (this.#queue.length > 0 && this.#fault === null) {
      if (this.#filling === null) {
        this.#ask();
        if (this.#filling === null) return;
      }
      this.#fillFrom(this.#queue[0]!, this.#filling);
      if (this.#filledBytes === SLOT_BYTES) this.#post();
      if (this.#queue[0]!.rest.byteLength === 0) this.#queue.shift()!.waiter.resolve();
    }
    // A thread that has nothing to do gets what there is.
    if (this.#posted.size === 0) this.#post();
  }

  #fillFrom(next: { rest: Uint8Array }, slot: Slot): void {
    const part = next.rest.subarray(0, SLOT_BYTES - this.#filledBytes);
    slot.bytes.set(part, this.#filledBytes);
    this.#filledBytes += part.byteLength;
    next.rest = next.rest.subarray(part.byteLength);
  }

  #ask(): void {
    if (this.#isAsking || this.#posted.size >= MAX_STREAM_SLOTS) return;
    this.#isAsking = true;
    let isLate = false;
    this.#task.slots.take((slot) => {
      this.#isAsking = false;
      if (this.#fault !== null) return this.#task.slots.give(slot);
      this.#filling = slot;
      if (isLate) this.#advance();
    });
    isLate = true;
  }

  #post(): void {
    const slot = this.#filling;
    if (slot === null) return;
    this.#filling = null;
    this.#posted.set(slot.key, slot);
    this.#stream.post({ type: "write", slot: slot.key, bytes: this.#filledBytes }, slot);
    this.#filledBytes = 0;
  }

  #hear(message: FromThread): void {
    if (message.type === "ended") this.#giveBack();
    if (this.#fault !== null) return;
    if (message.type === "fault") this.#fail(rebuildFault(message.fault));
    if (message.type === "synced") this.#syncs.shift()?.resolve(message.hash);
    if (message.type === "written") this.#take(message);
  }

  #take({ slot: key, bytes }: { readonly slot: number; readonly bytes: number }): void {
    const slot = this.#posted.get(key)!;
    this.#posted.delete(key);
    const { slots, onHashed } = this.#task;
    if (onHashed !== undefined) {
      const chunk = Buffer.allocUnsafeSlow(bytes);
      slot.bytes.copy(chunk, 0, 0, bytes);
      onHashed(chunk);
    }
    slots.give(slot);
    this.#advance();
  }

  #fail(fault: SluiceError): void {
    if (this.#fault !== null) return;
    this.#fault = fault;
    for (const { waiter } of this.#queue.splice(0)) waiter.reject(fault);
    for (const { reject } of this.#syncs.splice(0)) reject(fault);
    if (this.#filling !== null) this.#task.slots.give(this.#filling);
    this.#filling = null;
  }

  /** The thread has no use for them any more. */
  #giveBack(): void {
    for (const slot of this.#posted.values()) this.#task.slots.give(slot);
    this.#posted.clear();
  }
}
