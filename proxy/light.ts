/** The light steps: straight to the sidecar's API or to a model server, which is started first where a request may. */
import { failureError } from "./forward/failures.js";
import { requestHead } from "./forward/headers.js";
import { decideReadiness, ensureReady, isOutdated, notReadyError } from "./on-demand.js";
import type { ProxyParts } from "./parts.js";
import { sidecarError, unavailable } from "./refusals.js";
import type { Route } from "./route-table.js";
import type { ModelTarget, RequestTarget, SidecarTarget } from "./target.js";
import { checkBodySize, type HttpVisit, peerOf, startBody } from "./visit.js";

const SIDECAR_ORIGIN = "http://sidecar";

/** `/models`, `/tasks` and the like: the sidecar's, over its Unix socket. */
export function forwardToSidecar(
  parts: ProxyParts,
  visit: HttpVisit,
  request: RequestTarget,
  target: SidecarTarget,
): void {
  const { req, res, requestId } = visit;
  const maxBodyBytes = bodyLimitOf(target, parts.config.proxy.max_body_size);
  checkBodySize(req, maxBodyBytes);
  const head = requestHead(req.rawHeaders, {
    peer: peerOf(req),
    authority: request.authority,
    prefix: "",
    requestId,
    keep: "all",
  });
  parts.sidecar.forward(req, res, {
    origin: SIDECAR_ORIGIN,
    upstreamHost: "sidecar",
    basePath: "",
    method: visit.method,
    path: target.path + request.query,
    headers: head.headers,
    host: head.host,
    maxBodyBytes,
    prefix: "",
    requestId,
    receivedAtMs: visit.receivedAtMs,
    queueMs: 0,
    startBody: () => startBody(visit),
    errorOf: sidecarError,
    done: ({ status, error }) => parts.ledger.account(visit, status, error),
  });
}

/** How big a version may be is the registry's to say (registry.max_version_size); all else it takes is small, and bounded there. */
function bodyLimitOf({ template }: SidecarTarget, maxBytes: number): number {
  return template === "/registry/*" ? Number.POSITIVE_INFINITY : maxBytes;
}

/** A request that stands on a model: `route` is what the table said when it came. */
export interface ModelRequest {
  readonly request: RequestTarget;
  readonly target: ModelTarget;
  readonly route: Route;
}

/** At once where the model is ready; held until it is where a request may start it. */
export function passThrough(parts: ProxyParts, visit: HttpVisit, asked: ModelRequest): void {
  const { target, route } = asked;
  if (target.path === "/info") parts.metrics.countTask(route.entry.name, "info");
  if (decideReadiness(route.entry) === "ready") {
    forwardToModel(parts, visit, asked, 0);
    return;
  }
  const gone = parts.ledger.hold(visit.res);
  readyRoute(parts, route, gone)
    .then((ready) => forwardToModel(parts, visit, { ...asked, route: ready }, 0))
    .catch((caught: unknown) => parts.ledger.refuse(visit, caught));
}

/** The route once its model is ready; starts it where a request may. */
export async function readyRoute(parts: ProxyParts, route: Route, gone: AbortSignal): Promise<Route> {
  const { client, routes, config } = parts;
  const { name } = route.entry;
  const untilMs = performance.now() + config.models.deployment.auto.health_check_timeout;
  for (let known: Route | undefined = route; known !== undefined; known = routes.view.routes.get(name)) {
    const readiness = decideReadiness(known.entry);
    if (readiness === "ready") return known;
    if (readiness === "unready") throw notReadyError(known.entry);
    const asked = routes.view.snapshot;
    const waitMs = Math.max(0, Math.round(untilMs - performance.now()));
    const { ready, table } = await ensureReady({ client, name, waitMs, signal: gone });
    // What we have acknowledged since counts: the model may be draining by it.
    if (!isOutdated(table, asked, routes.view.snapshot)) return ready;
  }
  throw unavailable(name, routes.view);
}

/** @param queueMs how long the request waited for a permit */
export function forwardToModel(parts: ProxyParts, visit: HttpVisit, asked: ModelRequest, queueMs: number): void {
  const { req, res, requestId } = visit;
  const { request, target, route } = asked;
  const { prefix } = target;
  const tally = parts.presence.enter(route.entry);
  const head = requestHead(req.rawHeaders, {
    peer: peerOf(req),
    authority: request.authority,
    prefix,
    requestId,
    keep: "prefer",
  });
  parts.models.forward(req, res, {
    origin: route.origin,
    upstreamHost: route.upstreamHost,
    basePath: route.basePath,
    method: visit.method,
    path: route.basePath + target.rawPath + request.query,
    headers: head.headers,
    host: head.host,
    prefix,
    requestId,
    receivedAtMs: visit.receivedAtMs,
    queueMs,
    startBody: () => startBody(visit),
    errorOf: (failure) => failureError(failure, `model '${route.entry.name}'`),
    done: ({ status, upstreamMs, endedAtMs, error }) => {
      parts.presence.leave(tally);
      const tookMs = endedAtMs - visit.receivedAtMs;
      parts.metrics.observe(route.entry.name, tookMs - upstreamMs - queueMs, upstreamMs);
      parts.ledger.account(visit, status, error);
    },
  });
}
