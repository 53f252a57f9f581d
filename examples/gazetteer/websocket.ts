import type { IncomingMessage, Server } from "node:http";
import type { Duplex } from "node:stream";
import { type WebSocket, WebSocketServer } from "ws";
import { rewriteSpans } from "./annotate.js";
import { replyJson } from "./http.js";
import type { LoggedRequest } from "./request-log.js";
import type { Route } from "./route.js";
import type { Service } from "./service.js";

export const WEBSOCKET_PATH = "/stream/ws";

/** What the path says without an upgrade. */
export const WEBSOCKET_ROUTES: readonly Route[] = [
  {
    method: "GET",
    path: WEBSOCKET_PATH,
    summary: "Says how to connect",
    handle: ({ request }) =>
      replyJson(200, {
        message: "WebSocket endpoint: send one document as a text frame, get it back annotated",
        example: `ws://${request.headers.host ?? "localhost"}${WEBSOCKET_PATH}`,
        protocol: "WebSocket",
      }),
  },
];

const MAX_MESSAGE_BYTES = 16_777_216;
const MAX_UNSENT_BYTES = 16_777_216;
const PING_EVERY_MS = 20_000;
const REFUSED = "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/** Takes upgrades on {@link WEBSOCKET_PATH}; on any other path the handshake is refused with 403. @returns closes all sockets */
export function attachWebSocket(server: Server, service: Service): () => void {
  const sockets = new WebSocketServer({ noServer: true, maxPayload: MAX_MESSAGE_BYTES, perMessageDeflate: true });
  server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on("error", () => socket.destroy());
    const path = (request.url ?? "").split("?", 1)[0];
    service.requests.add(describeUpgrade(request));
    if (path !== WEBSOCKET_PATH) return void socket.end(REFUSED);
    sockets.handleUpgrade(request, socket, head, (client) => converse(client, service));
  });
  return () => {
    for (const client of sockets.clients) client.close(1012);
    setTimeout(() => {
      for (const client of sockets.clients) client.terminate();
    }, service.options.graceMs);
  };
}

function describeUpgrade({ method = "", url = "", headers }: IncomingMessage): LoggedRequest {
  const requestId = headers["x-request-id"]?.toString() ?? null;
  return { method, url, requestId, trackingId: null, sha256: null, bytes: 0 };
}

/** Answers each text frame. Only text frames keep an idle socket open, pings do not. */
function converse(client: WebSocket, service: Service): void {
  let active = true;
  let alive = true;
  const idle = setInterval(() => {
    if (!active) client.close(1000);
    active = false;
  }, service.options.wsIdleMs);
  const pings = setInterval(() => {
    if (!alive) return client.terminate();
    alive = false;
    client.ping();
  }, PING_EVERY_MS);
  client.on("pong", () => {
    alive = true;
  });
  client.on("message", (data, isBinary) => {
    if (isBinary) return client.close(1000);
    active = true;
    answer(client, annotateInline(service, data.toString()));
  });
  // ws closes the socket itself after an error such as a message that is too long.
  client.on("error", () => {});
  client.once("close", () => {
    clearInterval(idle);
    clearInterval(pings);
  });
}

function answer(client: WebSocket, text: string): void {
  client.send(text, () => {
    if (client.isPaused && client.bufferedAmount < MAX_UNSENT_BYTES) client.resume();
  });
  if (client.bufferedAmount >= MAX_UNSENT_BYTES) client.pause();
}

function annotateInline({ annotator }: Service, text: string): string {
  try {
    return rewriteSpans(text, annotator.find(text), ({ start, end, name }) => `[${name}: ${text.slice(start, end)}]`);
  } catch (error) {
    return `ERROR: ${(error as Error).message}`;
  }
}
