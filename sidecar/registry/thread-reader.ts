/** One file being read in a thread: a piece per turn while there is credit, so that many readers share the thread. */
import { createHash, type Hash } from "node:crypto";
import { readSync } from "node:fs";
import { failpoint } from "../../core/runtime/failpoints.js";
import { damagedVersion, describeFault } from "./byte-faults.js";
import type { FromThread, ReadBegin } from "./byte-messages.js";

type Say = (message: FromThread) => void;

export class ThreadReader {
  readonly #task: ReadBegin;
  readonly #say: Say;
  readonly #hash: Hash | null;
  /** Used again and again where nothing is sent. */
  readonly #scratch: Buffer | null;
  readonly #toFill: { readonly slot: number; readonly into: Buffer }[] = [];
  #doneBytes = 0;
  #turn: NodeJS.Immediate | null = null;
  #stopped = false;

  constructor(task: ReadBegin, say: Say) {
    this.#task = task;
    this.#say = say;
    this.#hash = task.mode === "plain" ? null : createHash("sha256");
    this.#scratch = task.mode === "hash" ? Buffer.allocUnsafeSlow(task.pieceBytes) : null;
    if (task.mode === "hash" || task.bytes === 0) this.#schedule();
  }

  fill(slot: number, into: Buffer): void {
    this.#toFill.push({ slot, into });
    this.#schedule();
  }

  stop(): void {
    this.#stopped = true;
    if (this.#turn !== null) clearImmediate(this.#turn);
    this.#turn = null;
  }

  /** Its reads are never under way between two messages. */
  async idle(): Promise<void> {}

  #schedule(): void {
    if (this.#stopped || this.#turn !== null) return;
    this.#turn = setImmediate(() => {
      this.#turn = null;
      try {
        this.#readOne();
        if (this.#scratch !== null || this.#toFill.length > 0) this.#schedule();
      } catch (caught) {
        this.stop();
        this.#say({ type: "fault", id: this.#task.id, fault: describeFault(caught) });
      }
    });
  }

  #readOne(): void {
    const { id, file, first, bytes, pieceBytes } = this.#task;
    const wanted = this.#toFill.shift();
    const into = wanted?.into ?? this.#scratch ?? Buffer.alloc(0);
    const inPiece = pieceBytes - (this.#doneBytes % pieceBytes);
    const size = Math.min(into.byteLength, inPiece, bytes - this.#doneBytes);
    const part = into.subarray(0, size);
    readFully(file, part, first + this.#doneBytes);
    this.#hash?.update(part);
    this.#doneBytes += size;
    const isLast = this.#doneBytes === bytes;
    const hash = isLast ? this.#finish() : null;
    if (wanted !== undefined) this.#say({ type: "filled", id, slot: wanted.slot, bytes: size });
    if (isLast) this.#say({ type: "complete", id, hash });
  }

  #finish(): string | null {
    this.stop();
    const hash = this.#hash?.digest("base64") ?? null;
    if (this.#task.mode === "checked" && hash !== this.#task.hash) throw damagedVersion("does not match its hash");
    return hash;
  }
}

/** @throws VERSION_DAMAGED where the file ends before */
export function readFully(file: number, into: Buffer, position: number): void {
  for (let offset = 0; offset < into.byteLength; ) {
    failpoint("file.call");
    const count = readSync(file, into, offset, into.byteLength - offset, position + offset);
    if (count === 0) throw damagedVersion("is shorter than it must be");
    offset += count;
  }
}
