/** The registry's calls as bare HTTP/2 streams: cheap in thousands, and free to break the rules. */
import { type ClientHttp2Session, type ClientHttp2Stream, connect, type OutgoingHttpHeaders } from "node:http2";
import type { Teardown } from "./gazetteer.js";

/** A message as gRPC frames it. */
export function framed(message: Uint8Array, { flag = 0, length = message.length } = {}): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt8(flag);
  head.writeUInt32BE(length, 1);
  return Buffer.concat([head, message]);
}

export function openSession(t: Teardown, port: number): ClientHttp2Session {
  const session = connect(`http://127.0.0.1:${port}`);
  session.on("error", () => {});
  t.teardown(() => session.destroy());
  return session;
}

/** @param path a method's name, or a whole path */
export function openCall(
  session: ClientHttp2Session,
  path: string,
  headers: OutgoingHttpHeaders = {},
): ClientHttp2Stream {
  const stream = session.request({
    ":method": "POST",
    ":path": path.startsWith("/") ? path : `/cogmentAPI.ModelRegistrySP/${path}`,
    "content-type": "application/grpc",
    te: "trailers",
    ...headers,
  });
  stream.on("error", () => {});
  return stream;
}

/** The gRPC status as a number in text, or HTTP's where there is none; "none" when the stream ended without. */
export function statusOf(stream: ClientHttp2Stream): Promise<string> {
  let status = "none";
  const note = (fields: Record<string, unknown>) => {
    status = String(fields["grpc-status"] ?? fields[":status"] ?? status);
  };
  stream.on("response", note);
  stream.on("trailers", note);
  return new Promise((resolve) => stream.once("close", () => resolve(status)));
}
