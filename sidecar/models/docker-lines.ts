/** The daemon's streams: lines of JSON, and the frames that a container's output is packed in. */
import type { Readable } from "node:stream";

/** Bound on one line; what is longer loses its beginning. */
const MAX_LINE_CHARS = 1_000_000;

/** Line by line; ends with the stream. */
export async function* readLines(stream: Readable): AsyncGenerator<string> {
  let rest = "";
  stream.setEncoding("utf8");
  for await (const chunk of stream) {
    const lines = (rest + String(chunk)).split("\n");
    rest = lines.pop()!.slice(-MAX_LINE_CHARS);
    yield* lines;
  }
  if (rest !== "") yield rest;
}

const HEADER_BYTES = 8;

/**
 * The bytes that a container wrote to stdout and stderr, in the order they came. A frame is a header (kind, three zeros, length) and
 * that many bytes; parts of it go on as they come, so that nothing but a header is ever kept. Ends where the stream does, also when
 * that is cut: by whoever asked for it, or with the daemon.
 */
export async function* unpackFrames(stream: Readable): AsyncGenerator<Buffer> {
  try {
    yield* unpack(stream);
  } catch {
    // What was read of it counts.
  }
}

async function* unpack(stream: Readable): AsyncGenerator<Buffer> {
  let header = Buffer.alloc(0);
  let left = 0;
  for await (const chunk of stream) {
    let rest = chunk as Buffer;
    while (rest.length > 0) {
      if (left > 0) {
        const part = rest.subarray(0, left);
        yield part;
        left -= part.length;
        rest = rest.subarray(part.length);
        continue;
      }
      const wanted = HEADER_BYTES - header.length;
      header = Buffer.concat([header, rest.subarray(0, wanted)]);
      rest = rest.subarray(wanted);
      if (header.length < HEADER_BYTES) break;
      left = header.readUInt32BE(4);
      header = Buffer.alloc(0);
    }
  }
}
