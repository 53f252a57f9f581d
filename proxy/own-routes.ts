/** The routes this process answers itself: health and metrics. */
import type { MetricObject } from "../core/runtime/metrics.js";
import { answerHealth, type HealthAnswer, LIVE, metricsAnswer, readinessOfAll, sidecarHealth } from "./health.js";
import type { ProxyParts } from "./parts.js";
import { methodNotAllowed } from "./refusals.js";
import type { OwnRoute } from "./target.js";
import type { HttpVisit } from "./visit.js";

export function answerOwn(parts: ProxyParts, visit: HttpVisit, route: OwnRoute): void {
  const { req, res, requestId } = visit;
  if (visit.method !== "GET" && visit.method !== "HEAD") throw methodNotAllowed("use GET");
  parts.ledger.hold(res);
  res.once("close", () => parts.ledger.account(visit, res.statusCode, null));
  const answer = answerOf(parts, route);
  if (!(answer instanceof Promise)) answerHealth(req, res, answer, requestId);
  else {
    answer
      .then((each) => answerHealth(req, res, each, requestId))
      .catch((caught: unknown) => parts.ledger.refuse(visit, caught));
  }
}

function answerOf(parts: ProxyParts, route: OwnRoute): HealthAnswer | Promise<HealthAnswer> {
  switch (route) {
    case "livez":
      return LIVE;
    case "readyz":
      return readinessOfAll(healthState(parts), parts.client);
    case "health":
      return sidecarHealth(parts.client);
    case "metrics":
      return metricsAnswer({
        own: () => ownMetrics(parts),
        sidecar: parts.client,
        ...(parts.metricsOfAll === undefined ? {} : { all: parts.metricsOfAll }),
      });
  }
}

function healthState({ routes, isDraining }: ProxyParts) {
  let readyModels = 0;
  for (const model of routes.view.snapshot.models) if (model.state === "ready") readyModels += 1;
  return { isDraining: isDraining(), isSidecarConnected: routes.isConnected, readyModels };
}

/** What this process has counted. */
export function ownMetrics({ metrics, models, upgrader, routes }: ProxyParts): MetricObject[] {
  return metrics.collect({ inFlight: models.inFlight + upgrader.open, isSidecarUp: routes.isConnected });
}
