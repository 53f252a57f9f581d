/** The hash of a whole file, read in a thread. */
import type { FileHandle } from "node:fs/promises";
import { rebuildFault } from "./byte-faults.js";
import type { ByteThreads, ThreadStream } from "./byte-threads.js";

/** Read at a time; other streams of the thread come in between. */
const PIECE_BYTES = 1024 * 1024;

/** In base64. @throws STORE_FAILED, VERSION_DAMAGED where it grows shorter meanwhile */
export async function hashFile(threads: ByteThreads, handle: FileHandle): Promise<string> {
  const { size } = await handle.stat();
  let stream: ThreadStream | undefined;
  try {
    return await new Promise<string>((resolve, reject) => {
      stream = threads.attach((message) => {
        if (message.type === "complete") resolve(message.hash!);
        if (message.type === "fault") reject(rebuildFault(message.fault));
      });
      stream.post({
        type: "read.begin",
        file: handle.fd,
        first: 0,
        bytes: size,
        pieceBytes: PIECE_BYTES,
        mode: "hash",
        hash: null,
      });
    });
  } finally {
    await stream?.end();
  }
}
