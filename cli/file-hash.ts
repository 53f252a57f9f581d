/** A file's SHA-256, with progress. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { showTransfer } from "./transfer-progress.js";

const CHUNK_BYTES = 1024 * 1024;

/** @returns in hexadecimal @throws the file system's errors, the signal's reason */
export async function hashFile(path: string, bytes: number, signal: AbortSignal): Promise<string> {
  const hash = createHash("sha256");
  const progress = showTransfer("Checking", bytes);
  let read = 0;
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: CHUNK_BYTES, signal })) {
      hash.update(chunk as Buffer);
      read += (chunk as Buffer).length;
      progress.at(read);
    }
  } finally {
    progress.end();
  }
  return hash.digest("hex");
}
