/** The sidecar's HTTP server: a list of what it answers. Bodies are never parsed here; a route that wants one reads the stream. */
import Fastify, { type FastifyInstance } from "fastify";
import { errorEnvelope, SluiceError } from "../core/contract/errors.js";
import type { AppDeps } from "./api/deps.js";
import { registerDocs } from "./api/docs.js";
import { registerHealthRoute } from "./api/health.js";
import { registerInternalRoutes } from "./api/internal.js";
import { registerPresence } from "./api/presence.js";
import { bothForms, registerNotFound, sendError } from "./api/replies.js";
import { registerRouteStream } from "./api/route-stream.js";
import { registerTaskEvents } from "./api/task-events.js";
import { registerTaskRoutes } from "./api/tasks.js";
import { TaskWatch } from "./tasks/wait.js";

export type { AppDeps } from "./api/deps.js";
export { listenOnSocket } from "./api/socket.js";

/** A submission's header holds another request's whole header block, in base64. */
const MAX_HEADER_BYTES = 128 * 1024;
const REQUEST_ID = /^[\x21-\x7e]{1,200}$/;

/** Adds routes of another part, e.g. the models'. */
export type RegisterRoutes = (app: FastifyInstance) => void;

/**
 * @param more routes of other parts; registered after ours
 * @returns not listening yet: see {@link listenOnSocket}
 */
export function createApp(deps: AppDeps, more: readonly RegisterRoutes[] = []): FastifyInstance {
  const log = deps.logger.child("sidecar.api");
  const app = Fastify({
    logger: false,
    genReqId: (request) => requestIdOf(request.headers["x-request-id"]),
    forceCloseConnections: true,
    requestTimeout: 0,
    keepAliveTimeout: 60_000,
    http: { maxHeaderSize: MAX_HEADER_BYTES },
    routerOptions: { maxParamLength: 2_000 },
    exposeHeadRoutes: false,
    frameworkErrors: (error, request, reply) => sendError(error, request, reply, log),
    clientErrorHandler(_error, socket) {
      const body = JSON.stringify(errorEnvelope(new SluiceError("BAD_REQUEST", "the request is not valid HTTP")));
      const head = `HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n`;
      if (socket.writable) socket.end(`${head}Connection: close\r\n\r\n${body}`);
      else socket.destroy();
    },
  });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", (_request, stream, done) => done(null, stream));
  app.setErrorHandler((error, request, reply) => sendError(error, request, reply, log));
  app.addHook("onSend", async (request, reply) => {
    void reply.header("x-request-id", request.id);
  });
  const known = registerNotFound(app);
  app.addHook("onRoute", ({ method, url }) => {
    for (const each of [method].flat()) known.remember(each, url);
  });
  // The proxy answers it; what comes here came with another method.
  for (const url of bothForms("/models/:name/tasks/:task")) known.remember("POST", url);

  const watch = new TaskWatch(deps.store);
  app.addHook("onClose", async () => watch.close());
  app.get("/", async () => ({ message: "Enter the cult... I mean, the API." }));
  registerDocs(app);
  registerHealthRoute(app, deps);
  registerTaskRoutes(app, deps, watch);
  registerTaskEvents(app, deps, watch);
  registerInternalRoutes(app, deps, watch);
  registerRouteStream(app, deps);
  registerPresence(app, deps);
  for (const register of more) register(app);
  return app;
}

let counted = 0;

function requestIdOf(given: string | string[] | undefined): string {
  if (typeof given === "string" && REQUEST_ID.test(given)) return given;
  counted += 1;
  return `sidecar-${process.pid}-${counted}`;
}
