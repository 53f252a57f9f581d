/** A WebSocket handshake for a model server: started first where a request may, then carried by `forward/websocket.ts`. */
import type { IncomingMessage } from "node:http";
import { SluiceError } from "../core/contract/errors.js";
import { failureError } from "./forward/failures.js";
import { requestHead } from "./forward/headers.js";
import type { EarlySocket } from "./forward/websocket.js";
import { type ModelRequest, readyRoute } from "./light.js";
import type { ProxyParts } from "./parts.js";
import { peerOf, type Visit } from "./visit.js";

export interface Handshake {
  readonly visit: Visit<null>;
  readonly client: EarlySocket;
}

export async function upgrade(parts: ProxyParts, { visit, client }: Handshake, asked: ModelRequest): Promise<void> {
  const req: IncomingMessage = visit.req;
  const { request, target } = asked;
  const gone = new AbortController();
  client.socket.once("close", () => gone.abort());
  const route = await readyRoute(parts, asked.route, gone.signal);
  if (gone.signal.aborted) throw new SluiceError("CLIENT_GONE", "the client closed the connection");
  const tally = parts.presence.enter(route.entry);
  client.socket.once("close", () => parts.presence.leave(tally));
  const head = requestHead(req.rawHeaders, {
    peer: peerOf(req),
    authority: request.authority,
    prefix: "",
    requestId: visit.requestId,
    keep: "none",
  });
  parts.upgrader.upgrade(req, client, {
    origin: route.origin,
    path: route.basePath + target.rawPath + request.query,
    headers: head.headers,
    requestId: visit.requestId,
    errorOf: (failure) => failureError(failure, `model '${route.entry.name}'`),
    answered: (status, error) => parts.ledger.account(visit, status, error),
  });
}
