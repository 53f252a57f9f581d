/** Errors of ours on the wire: the envelope, and a connection that is closed so that the client still reads it. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { ERRORS, errorEnvelope, type SluiceError } from "../../core/contract/errors.js";

const LINGER_MAX_BYTES = 256 * 1024;
const LINGER_MS = 2_000;

/** The flat header block and body of an error; shared by answers through node's HTTP server and raw ones. */
function errorAnswer(error: SluiceError, requestId: string): { headers: string[]; body: Buffer } {
  const body = Buffer.from(JSON.stringify(errorEnvelope(error, requestId)));
  const headers = [
    "content-type",
    "application/json",
    "content-length",
    String(body.length),
    "x-request-id",
    requestId,
  ];
  if (error.retryAfterMs !== undefined) headers.push("retry-after", String(Math.ceil(error.retryAfterMs / 1_000)));
  return { headers, body };
}

/**
 * Answers with an error of ours. Once the head of another answer has gone out, the connection is cut instead.
 * A request body that was not read to its end closes the connection, after a bounded time in which the client can read the answer.
 */
export function answerError(req: IncomingMessage, res: ServerResponse, error: SluiceError, requestId: string): void {
  if (res.headersSent) {
    cutAnswer(res);
    return;
  }
  if (res.destroyed) return;
  const { headers, body } = errorAnswer(error, requestId);
  if (error.code === "METHOD_NOT_ALLOWED") headers.push("allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
  if (req.complete) {
    res.writeHead(error.status, headers);
    res.end(body);
    return;
  }
  headers.push("connection", "close");
  res.writeHead(error.status, headers);
  // Node closes the socket with the answer's end, and unread bytes would turn that into a reset that eats the answer:
  // so the answer is written whole, and ended when the body has been read or the patience is over.
  res.write(body);
  discardBody(req, () => res.end());
}

/** Ends an answer that cannot be finished so that nobody takes it for whole. */
export function cutAnswer(res: ServerResponse): void {
  const { socket } = res;
  // Without chunks and length the connection's end is the answer's end: only a reset tells the difference.
  if (socket !== null && !res.chunkedEncoding && !hasLength(res)) socket.resetAndDestroy();
  else res.destroy();
}

function hasLength(res: ServerResponse): boolean {
  return typeof (res as { _contentLength?: unknown })._contentLength === "number";
}

/**
 * Reads and forgets what the client still sends, at most 256 KiB and 2 s.
 * Beyond the bytes it stops reading, so that a client that looks at its answer between writes still finds it.
 * @param then called once, at the body's end or when the time is over
 */
export function discardBody(req: IncomingMessage, then: () => void): void {
  let bytes = 0;
  const onData = (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > LINGER_MAX_BYTES) req.pause();
  };
  const done = () => {
    clearTimeout(timer);
    req.off("data", onData).off("end", done).off("close", done);
    then();
  };
  const timer = setTimeout(done, LINGER_MS);
  timer.unref();
  req.on("error", () => {});
  req.on("data", onData).once("end", done).once("close", done);
  req.resume();
}

/** Writes an error on a bare socket, where no HTTP answer object exists, and closes. */
export function answerErrorOnSocket(socket: Socket, error: SluiceError, requestId: string): void {
  if (socket.destroyed || !socket.writable) {
    socket.destroy();
    return;
  }
  const { headers, body } = errorAnswer(error, requestId);
  let head = `HTTP/1.1 ${error.status} ${reason(error)}\r\n`;
  for (let index = 0; index < headers.length; index += 2) head += `${headers[index]}: ${headers[index + 1]}\r\n`;
  socket.end(Buffer.concat([Buffer.from(`${head}connection: close\r\n\r\n`, "latin1"), body]));
  // Closing with bytes unread would reset the connection, and the answer with it.
  socket.resume();
  const timer = setTimeout(() => socket.destroy(), LINGER_MS);
  timer.unref();
  socket.once("close", () => clearTimeout(timer));
}

/** Any token will do as a reason phrase; the code says most. */
function reason(error: SluiceError): string {
  return error.code in ERRORS ? error.code.toLowerCase().replaceAll("_", " ") : "error";
}
