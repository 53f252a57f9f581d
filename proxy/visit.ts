/** One request, as far as it has been understood: what every step is handed. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { SluiceError } from "../core/contract/errors.js";
import { methodNotAllowed } from "./refusals.js";
import { requestIdOf } from "./request-id.js";
import { parseTarget, type RequestTarget } from "./target.js";

export interface Visit<Res> {
  readonly req: IncomingMessage;
  /** Null for an upgrade, which is answered on the bare socket. */
  readonly res: Res;
  readonly expectsContinue: boolean;
  readonly requestId: string;
  /** `performance.now()` */
  readonly receivedAtMs: number;
  readonly method: string;
  /** Endpoint template for metrics and logs: from a fixed set. */
  endpoint: string;
  /** A name out of the snapshot, `unknown`, or null where no model is meant. */
  model: string | null;
  path: string;
  isAccounted: boolean;
}

export type HttpVisit = Visit<ServerResponse>;

export function beginVisit<Res>(req: IncomingMessage, res: Res, expectsContinue: boolean): Visit<Res> {
  return {
    req,
    res,
    expectsContinue,
    requestId: requestIdOf(req.headers["x-request-id"]),
    receivedAtMs: performance.now(),
    method: req.method ?? "GET",
    endpoint: "",
    model: null,
    path: "",
    isAccounted: false,
  };
}

/** @throws BAD_REQUEST, BAD_PATH, METHOD_NOT_ALLOWED */
export function parseRequest(req: IncomingMessage): RequestTarget {
  const url = req.url ?? "/";
  if (url === "*") throw methodNotAllowed("there is nothing to ask of the server as a whole");
  if (req.headers.host === undefined && req.httpVersionMinor === 1) {
    throw new SluiceError("BAD_REQUEST", "the request carries no Host header");
  }
  return parseTarget(url);
}

export function peerOf(req: IncomingMessage): string {
  return req.socket.remoteAddress ?? "unknown";
}

/** Answers a waiting `Expect: 100-continue` when the body is about to be read, not before. */
export function startBody(visit: HttpVisit): void {
  if (visit.expectsContinue && !visit.res.headersSent && !visit.res.destroyed) visit.res.writeContinue();
}

/** @throws BODY_TOO_LARGE where the request itself says so; what comes without a length is counted on its way */
export function checkBodySize(req: IncomingMessage, maxBytes: number): void {
  const length = req.headers["content-length"];
  if (length === undefined || Number(length) <= maxBytes) return;
  throw new SluiceError(
    "BODY_TOO_LARGE",
    `the request body of ${length} bytes exceeds ${maxBytes} bytes, the limit of proxy.max_body_size`,
  );
}
