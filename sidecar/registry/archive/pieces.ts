/**
 * Memory of the pieces that readers get. Whoever has copied a piece away may give it back: the next one then lies in memory that the
 * system has handed out already, and the garbage collector hears nothing of it. Who keeps it, keeps it.
 */

/** Free bytes in front of each piece: what it is sent in begins there, and needs no copy of it. */
export const PIECE_ROOM_BYTES = 16;
/** Held free at most. */
const MAX_FREE_BYTES = 16 * 1024 * 1024;
/** Smaller ones cost less than keeping them would. */
const MIN_KEPT_BYTES = 64 * 1024;

/** The last one given back is the first one taken; all of one size, since nearly all pieces are. */
const free: ArrayBuffer[] = [];
let freeBytes = 0;

export function takePiece(bytes: number): Buffer {
  const wholeBytes = PIECE_ROOM_BYTES + bytes;
  const memory = free.at(-1)?.byteLength === wholeBytes ? free.pop()! : null;
  if (memory === null) return Buffer.allocUnsafeSlow(wholeBytes).subarray(PIECE_ROOM_BYTES);
  freeBytes -= memory.byteLength;
  return Buffer.from(memory, PIECE_ROOM_BYTES);
}

/** Whether it was taken here, and with it the room in front of it. */
export function isPiece({ buffer, byteOffset, byteLength }: Uint8Array): boolean {
  return byteOffset === PIECE_ROOM_BYTES && buffer.byteLength === PIECE_ROOM_BYTES + byteLength;
}

/** Nobody may look at it any more. What was not taken here is left alone. */
export function givePiece(piece: Uint8Array): void {
  const { buffer } = piece;
  if (!isPiece(piece) || buffer.byteLength < MIN_KEPT_BYTES) return;
  if (free[0]?.byteLength !== buffer.byteLength) {
    free.length = 0;
    freeBytes = 0;
  }
  if (freeBytes + buffer.byteLength > MAX_FREE_BYTES) return;
  free.push(buffer as ArrayBuffer);
  freeBytes += buffer.byteLength;
}
