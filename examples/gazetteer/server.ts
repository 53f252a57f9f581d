import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { HttpError, refuseWithDetail, refuseWithMessage } from "./errors.js";
import { Call, type Reply, replyJson } from "./http.js";
import { misbehaveAfter, misbehaveBefore, readWishes } from "./misbehave.js";
import type { Route } from "./route.js";
import { ROUTES } from "./routes.js";
import { sendReply } from "./send.js";
import type { Service } from "./service.js";
import { attachWebSocket } from "./websocket.js";

/** uvicorn's; a client that pools connections must let go of them earlier. */
const KEEP_ALIVE_MS = 5_000;
const BAD_REQUEST =
  "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\nconnection: close\r\ncontent-length: 30\r\n\r\nInvalid HTTP request received.";

/** The HTTP server, not yet listening. */
export function createGazetteerServer(service: Service): {
  readonly server: Server;
  readonly stop: () => Promise<void>;
} {
  const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS, requestTimeout: 0 }, (request, response) => {
    void serve(service, request, response);
  });
  server.on("clientError", (_error, socket: Socket) => {
    if (socket.writable) socket.end(BAD_REQUEST);
    else socket.destroy();
  });
  const closeWebSockets = attachWebSocket(server, service);
  const stop = async () => {
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeIdleConnections();
    service.events.closeAll();
    closeWebSockets();
    setTimeout(() => server.closeAllConnections(), service.options.graceMs);
    await Promise.all([closed, service.stop()]);
  };
  return { server, stop };
}

async function serve(service: Service, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = splitTarget(request.url ?? "/");
  const call = new Call(request, response, service, stripPrefix(url.path, request), url.query);
  const found = findRoute(call);
  response.once("close", () => {
    call.log();
    service.metrics.countRequest("path" in found ? found.path : "none", request.method ?? "", response.statusCode);
  });
  try {
    const wishes = readWishes(call);
    const instead = await misbehaveBefore(call, wishes);
    await sendReply(call, await misbehaveAfter(call, wishes, instead ?? (await answer(call, found))));
  } catch {
    // A fault after the head went out, or the caller is gone: the connection is cut, never ended as if all were well.
    response.destroy();
  }
  // What was not read of the body is swallowed, so that the connection can carry the next request.
  if (!request.readableEnded) request.resume();
}

async function answer(call: Call, found: Route | HttpError | Reply): Promise<Reply> {
  try {
    if (found instanceof HttpError) throw found;
    if (!("handle" in found)) return found;
    if (found.limited) await checkRate(call, found);
    return await found.handle(call);
  } catch (error) {
    if (error instanceof HttpError) return replyJson(error.status, error.body, error.headers);
    return replyJson(500, { message: (error as Error).message });
  }
}

/** The route, or why there is none: 404, 405 with `allow`, or 307 to the same path with or without its last slash. */
function findRoute(call: Call): Route | HttpError | Reply {
  const samePath = ROUTES.filter(({ path }) => path === call.path);
  const route = samePath.find(({ method }) => method === call.request.method);
  if (route !== undefined) return route;
  const [other] = samePath;
  if (other !== undefined) return refuseWithDetail(405, "Method Not Allowed", { allow: other.method });
  const toggled = call.path.endsWith("/") ? call.path.replace(/\/+$/u, "") : `${call.path}/`;
  if (!ROUTES.some(({ path }) => path === toggled)) return refuseWithDetail(404, "Not Found");
  const query = call.query.size > 0 ? `?${(call.request.url ?? "").split("?").slice(1).join("?")}` : "";
  return {
    status: 307,
    headers: { location: `http://${call.header("host") ?? ""}${toggled}${query}` },
    body: Buffer.alloc(0),
  };
}

async function checkRate(call: Call, route: Route): Promise<void> {
  const key = `${call.request.socket.remoteAddress} ${route.path}`;
  if (call.service.rateLimit.admit(key)) return;
  if (route.limited === "after-body") await call.drain();
  throw refuseWithMessage(429, "Too many requests. Please wait and try your request again.");
}

function splitTarget(target: string): { path: string; query: URLSearchParams } {
  const at = target.indexOf("?");
  const raw = (at < 0 ? target : target.slice(0, at)).replace(/^https?:\/\/[^/]*/iu, "");
  return { path: decodePath(raw), query: new URLSearchParams(at < 0 ? "" : target.slice(at + 1)) };
}

function decodePath(raw: string): string {
  try {
    return decodeURIComponent(raw);
  } catch {
    return raw;
  }
}

/** With `X-Forwarded-Prefix` both the stripped and the full path are good. */
function stripPrefix(path: string, request: IncomingMessage): string {
  const prefix = String(request.headers["x-forwarded-prefix"] ?? "").replace(/\/+$/u, "");
  return prefix !== "" && path.startsWith(`${prefix}/`) ? path.slice(prefix.length) : path;
}
