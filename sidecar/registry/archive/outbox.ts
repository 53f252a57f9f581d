/** Chunks that wait to be handed to a thread: big ones as they are, small ones together. */

/** Handing over a smaller one costs more than copying it. */
const MIN_TRANSFER_BYTES = 32 * 1024;
/** What a message may have in front of the bytes it carries. */
const MAX_PREFIX_BYTES = 64;

export interface Parcel {
  readonly chunks: readonly Uint8Array[];
  /** Memory that is given away with them. */
  readonly transfer: readonly ArrayBuffer[];
  readonly bytes: number;
}

export class Outbox {
  #chunks: Uint8Array[] = [];
  #transfer: ArrayBuffer[] = [];
  #small: Uint8Array[] = [];
  #smallBytes = 0;
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  get chunks(): number {
    return this.#chunks.length + this.#small.length;
  }

  add(chunk: Uint8Array): void {
    this.#bytes += chunk.byteLength;
    if (chunk.byteLength < MIN_TRANSFER_BYTES) {
      this.#small.push(chunk);
      this.#smallBytes += chunk.byteLength;
      return;
    }
    this.#packSmall();
    this.#pack(isSoleOwner(chunk) ? chunk : copy(chunk));
  }

  take(): Parcel {
    this.#packSmall();
    const parcel = { chunks: this.#chunks, transfer: this.#transfer, bytes: this.#bytes };
    this.#chunks = [];
    this.#transfer = [];
    this.#bytes = 0;
    return parcel;
  }

  #packSmall(): void {
    if (this.#smallBytes > 0) {
      const together = Buffer.allocUnsafeSlow(this.#smallBytes);
      let offset = 0;
      for (const chunk of this.#small) {
        together.set(chunk, offset);
        offset += chunk.byteLength;
      }
      this.#pack(together);
    }
    this.#small = [];
    this.#smallBytes = 0;
  }

  #pack(chunk: Uint8Array): void {
    this.#chunks.push(chunk);
    this.#transfer.push(chunk.buffer as ArrayBuffer);
  }
}

/**
 * Whether nothing else can lie in the memory under these bytes: giving it away takes it from everybody. A chunk that fills all of it but
 * for a message's own first bytes is alone; one cut from Node's pool never is.
 */
export function isSoleOwner({ buffer, byteOffset, byteLength }: Uint8Array): boolean {
  return (
    buffer instanceof ArrayBuffer && byteOffset <= MAX_PREFIX_BYTES && byteOffset + byteLength === buffer.byteLength
  );
}

function copy(chunk: Uint8Array): Uint8Array {
  const copied = Buffer.allocUnsafeSlow(chunk.byteLength);
  copied.set(chunk);
  return copied;
}
