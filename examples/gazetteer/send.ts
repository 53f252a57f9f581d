import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { HttpError } from "./errors.js";
import { type Call, type Reply, replyJson } from "./http.js";

/**
 * Sends an answer. Of a body that comes in pieces the first is awaited before the head goes out, so that a failure up to there is
 * still a clean 500; a later one rejects, and the caller cuts the connection.
 */
export async function sendReply(call: Call, reply: Reply): Promise<void> {
  if (Buffer.isBuffer(reply.body)) {
    writeHead(call.response, reply, reply.body.length);
    call.response.end(reply.body);
    return;
  }
  const pieces = reply.body[Symbol.asyncIterator]();
  try {
    const first = await firstPiece(pieces);
    if ("reply" in first) return await sendReply(call, first.reply);
    writeHead(call.response, reply, null);
    await pump(call.response, first.piece, pieces);
  } finally {
    await pieces.return?.();
  }
}

type Piece = IteratorResult<Buffer>;

async function firstPiece(pieces: AsyncIterator<Buffer>): Promise<{ piece: Piece } | { reply: Reply }> {
  try {
    return { piece: await pieces.next() };
  } catch (error) {
    if (error instanceof HttpError) return { reply: replyJson(error.status, error.body, error.headers) };
    return { reply: replyJson(500, { message: (error as Error).message }) };
  }
}

async function pump(response: ServerResponse, first: Piece, rest: AsyncIterator<Buffer>): Promise<void> {
  for (let piece = first; !piece.done; piece = await rest.next()) {
    if (response.destroyed) return;
    // Buffers only: a string would make Node write the head with it as UTF-8, and Latin-1 header values would change.
    if (!response.write(piece.value)) await drained(response);
  }
  response.end();
}

async function drained(response: ServerResponse): Promise<void> {
  if (response.destroyed) return;
  const over = new AbortController();
  const { signal } = over;
  try {
    await Promise.race([once(response, "drain", { signal }), once(response, "close", { signal })]);
  } finally {
    over.abort();
  }
}

function writeHead(response: ServerResponse, reply: Reply, length: number | null): void {
  // uvicorn names no `connection` while it keeps one open.
  if (response.shouldKeepAlive) response.removeHeader("connection");
  const bodiless = reply.status === 204 || reply.status === 304;
  const framing =
    length === null || bodiless || "content-length" in reply.headers ? {} : { "content-length": String(length) };
  response.writeHead(reply.status, { ...framing, ...reply.headers });
}
