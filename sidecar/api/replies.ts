/** How every route answers: errors in one envelope, paths in both slash forms, and a signal that tells when the caller has gone. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { asSluiceError, errorEnvelope, SluiceError } from "../../core/contract/errors.js";
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
  // An unread body would be taken for the next request.
  if (!request.raw.complete) void reply.header("connection", "close");
  return reply.code(error.status).send(errorEnvelope(error, request.id));
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
