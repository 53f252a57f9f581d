/** A transient version on its way in: to memory, or to a file from its beginning. */
import { SluiceError } from "../../../core/contract/errors.js";
import type { Seal } from "../archive/archive.js";
import type { IncomingBytes } from "../archive/incoming-bytes.js";
import type { MemoryBytes } from "./memory-bytes.js";
import type { SpillFile } from "./spill-file.js";
import type { TransientIncoming, TransientKey } from "./transients.js";

export interface TransientIncomingParts {
  readonly bytes: IncomingBytes;
  readonly target: MemoryBytes | SpillFile;
  /** Resolves when there is room in memory for so many bytes more of this upload. */
  readonly makeRoom: (bytes: number) => Promise<void>;
  readonly onKept: (key: TransientKey, seal: Seal) => void;
  /** Called once: what it held while it was on its way is given back. */
  readonly onEnd: () => void;
}

export class IncomingTransient implements TransientIncoming {
  readonly #parts: TransientIncomingParts;
  #receivedBytes = 0;
  #seal: Seal | null = null;
  #isKept = false;
  #discarded: Promise<void> | undefined;

  constructor(parts: TransientIncomingParts) {
    this.#parts = parts;
  }

  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  async write(chunk: Uint8Array): Promise<void> {
    this.#receivedBytes += chunk.byteLength;
    await this.#parts.makeRoom(chunk.byteLength);
    await this.#parts.bytes.write(chunk);
  }

  async seal(): Promise<Seal> {
    const hash = await this.#parts.bytes.sync(true);
    await this.#letGo();
    this.#seal = { hash: hash!, bytes: this.#receivedBytes };
    return this.#seal;
  }

  keep(key: TransientKey): void {
    if (this.#seal === null) throw new SluiceError("INTERNAL", "a version is kept before it is whole");
    this.#isKept = true;
    this.#parts.onEnd();
    this.#parts.onKept(key, this.#seal);
  }

  discard(): Promise<void> {
    this.#discarded ??= this.#discard();
    return this.#discarded;
  }

  async #discard(): Promise<void> {
    if (this.#isKept) return;
    this.#parts.onEnd();
    await this.#letGo();
    if ("drop" in this.#parts.target) await this.#parts.target.drop();
  }

  #letGo(): Promise<void> {
    return this.#parts.bytes.end(new SluiceError("STORE_FAILED", "this upload has ended"));
  }
}
