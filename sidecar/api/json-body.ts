/** A small JSON body, as our own parts send it on the Unix socket. */
import type { IncomingMessage } from "node:http";
import { SluiceError } from "../../core/contract/errors.js";

/** @throws BODY_TOO_LARGE, BAD_REQUEST when it is no JSON */
export async function readJson<Value>(stream: IncomingMessage, maxBytes: number): Promise<Value> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    size += chunk.byteLength;
    if (size > maxBytes) throw new SluiceError("BODY_TOO_LARGE", `the body is larger than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString("utf8")) as Value;
  } catch (cause) {
    throw new SluiceError("BAD_REQUEST", "the body is not JSON", { cause });
  }
}
