/** How every route answers: errors in one envelope, paths in both slash forms, and a signal that tells when the caller has gone. */
import type { OutgoingHttpHeaders } from "node:http";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { asSluiceError, type ErrorEnvelope, errorEnvelope, SluiceError } from "../../core/contract/errors.js";
import type { Logger } from "../../core/runtime/logger.js";

/** Both forms of a path answer; neither redirects. */
export function bothForms(path: string): [string, string] {
  return [path, `${path}/`];
}

/** 204 as CMG says it: with a content type, though there is no content. */
export function sendNothing(reply: FastifyReply): FastifyReply {
  return reply.code(204).header("content-type", "application/json").send();
}

/** Aborts when the caller's connection ends before the answer is complete. */
export function goneSignal(reply: FastifyReply): AbortSignal {
  const gone = new AbortController();
  reply.raw.once("close", () => {
    if (!reply.raw.writableFinished) gone.abort(new SluiceError("CLIENT_GONE", "the caller hung up"));
  });
  return gone.signal;
}

/** Fastify's own refusals (a malformed URL, a bad length) are the request's fault; their text may repeat it, so it is left out. */
function asOurs(caught: unknown): SluiceError {
  const { code, statusCode } = caught as { code?: unknown; statusCode?: unknown };
  if (typeof code === "string" && code.startsWith("FST_ERR_") && typeof statusCode === "number" && statusCode < 500) {
    return new SluiceError("BAD_REQUEST", "the request is malformed", { cause: caught });
  }
  return asSluiceError(caught);
}

export function sendError(caught: unknown, request: FastifyRequest, reply: FastifyReply, logger: Logger): FastifyReply {
  const error = asOurs(caught);
  const fields = {
    requestId: request.id,
    code: error.code,
    status: error.status,
    route: request.routeOptions.url ?? "",
  };
  if (error.status === 499) logger.debug(fields, "the caller hung up");
  else if (error.status >= 500) logger.error({ ...fields, err: error }, "a request failed");
  else logger.info(fields, "a request was refused");
  if (error.retryAfterMs !== undefined) void reply.header("retry-after", String(Math.ceil(error.retryAfterMs / 1_000)));
  const envelope = errorEnvelope(error, request.id);
  const { complete, destroyed } = request.raw;
  dropContentHeaders(reply, error.status);
  void reply.code(error.status);
  return complete || destroyed ? reply.send(envelope) : sendEarly(request, reply, envelope);
}

const OF_THE_CONTENT = ["accept-ranges", "content-disposition", "content-length", "content-location", "content-type"];
const OF_THE_VERSION = ["cache-control", "etag", "repr-digest"];

/** A download that fails before its first byte has its head set already: it speaks of bytes that do not come. */
function dropContentHeaders(reply: FastifyReply, status: number): void {
  for (const name of [...OF_THE_CONTENT, ...OF_THE_VERSION]) void reply.removeHeader(name);
  // Only this answer tells by it how many bytes there are.
  if (status !== 416) void reply.removeHeader("content-range");
}

const LINGER_MS = 2_000;
const LINGER_MAX_BYTES = 256 * 1024;

/**
 * An answer to a request whose body still comes: unread it would be taken for the next request, so the connection closes. Closing it at
 * once would reset it under whoever is writing, and the answer would be lost: it goes out whole, and ends when the caller has stopped
 * or a while has passed.
 */
function sendEarly({ raw: request, id }: FastifyRequest, reply: FastifyReply, envelope: ErrorEnvelope): FastifyReply {
  const { raw: response, statusCode } = reply;
  const body = JSON.stringify(envelope);
  const headers: OutgoingHttpHeaders = {
    ...(reply.getHeaders() as OutgoingHttpHeaders),
    "x-request-id": id,
    "content-type": "application/json",
    "content-length": Buffer.byteLength(body),
    connection: "close",
  };
  reply.hijack();
  response.writeHead(statusCode, headers);
  response.write(body);
  let bytes = 0;
  const onData = (chunk: Buffer) => {
    bytes += chunk.length;
    // Who looks at the answer between two writes still finds it.
    if (bytes > LINGER_MAX_BYTES) request.pause();
  };
  const end = () => {
    clearTimeout(timer);
    request.off("data", onData).off("end", end).off("close", end);
    response.end();
  };
  const timer = setTimeout(end, LINGER_MS).unref();
  request.on("error", () => {});
  request.on("data", onData).once("end", end).once("close", end).resume();
  return reply;
}

/** Unknown paths are 404, other methods on known ones 405 with `Allow`. */
export function registerNotFound(app: FastifyInstance): { remember: (method: string, url: string) => void } {
  const routes: { method: string; pattern: RegExp }[] = [];
  app.setNotFoundHandler((request, reply) => {
    const path = request.url.replace(/\?.*$/s, "");
    const allowed = [...new Set(routes.filter(({ pattern }) => pattern.test(path)).map(({ method }) => method))];
    if (allowed.length === 0) throw new SluiceError("NOT_FOUND", "Not Found");
    void reply.header("allow", allowed.join(", "));
    throw new SluiceError("METHOD_NOT_ALLOWED", "Method Not Allowed");
  });
  return {
    remember(method, url) {
      const literal = url.replace(/[.*+?^${}()|[\]\\]/g, "\\$&").replace(/:[A-Za-z_]+/g, "[^/]+");
      routes.push({ method, pattern: new RegExp(`^${literal}$`) });
    },
  };
}
