/** One file being read in a thread: a piece per turn while there is credit, so that many readers share the thread. */
import { createHash, type Hash } from "node:crypto";
import { readSync } from "node:fs";
import { failpoint } from "../../core/runtime/failpoints.js";
import { damagedVersion, describeFault } from "./byte-faults.js";
import type { FromThread, ReadBegin } from "./byte-messages.js";

type Say = (message: FromThread, transfer?: readonly ArrayBuffer[]) => void;

export class ThreadReader {
  readonly #task: ReadBegin;
  readonly #say: Say;
  readonly #hash: Hash | null;
  /** Used again and again where nothing is sent. */
  readonly #scratch: Buffer | null;
  #doneBytes = 0;
  #credit: number;
  #turn: NodeJS.Immediate | null = null;
  #stopped = false;

  constructor(task: ReadBegin, say: Say) {
    this.#task = task;
    this.#say = say;
    this.#hash = task.mode === "plain" ? null : createHash("sha256");
    this.#scratch = task.mode === "hash" ? Buffer.allocUnsafeSlow(Math.min(task.pieceBytes, task.bytes)) : null;
    this.#credit = task.mode === "hash" ? Number.POSITIVE_INFINITY : 0;
    this.#schedule();
  }

  grant(pieces: number): void {
    this.#credit += pieces;
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
    if (this.#stopped || this.#turn !== null || this.#credit === 0) return;
    this.#turn = setImmediate(() => {
      this.#turn = null;
      try {
        this.#readOne();
        this.#schedule();
      } catch (caught) {
        this.stop();
        this.#say({ type: "fault", id: this.#task.id, fault: describeFault(caught) });
      }
    });
  }

  #readOne(): void {
    const { id, file, first, bytes, pieceBytes, mode } = this.#task;
    this.#credit -= 1;
    const size = Math.min(pieceBytes, bytes - this.#doneBytes);
    const piece = this.#scratch?.subarray(0, size) ?? Buffer.allocUnsafeSlow(size);
    readFully(file, piece, first + this.#doneBytes);
    this.#hash?.update(piece);
    this.#doneBytes += size;
    const isLast = this.#doneBytes === bytes;
    const hash = isLast ? this.#finish() : null;
    if (mode !== "hash" && size > 0) this.#say({ type: "piece", id, piece }, [piece.buffer as ArrayBuffer]);
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
