import { ANNOTATION_ROUTES } from "./annotation-routes.js";
import { refuseWithDetail } from "./errors.js";
import { GENERATION_ROUTES } from "./generate.js";
import { type Call, type Reply, replyJson, replyText } from "./http.js";
import { DOCS_PAGE, describeApi } from "./openapi.js";
import { REPORT_ROUTES } from "./report-routes.js";
import type { Route } from "./route.js";
import { SSE_ROUTES } from "./sse.js";
import { STREAM_ROUTES } from "./stream.js";
import { TRAINING_ROUTES } from "./training-routes.js";
import { WEBSOCKET_ROUTES } from "./websocket.js";

const STATUS_ROUTES: readonly Route[] = [
  { method: "GET", path: "/", summary: "Redirects to the documentation", handle: redirectToDocs },
  { method: "GET", path: "/docs", summary: "Documentation", handle: showDocs },
  {
    method: "GET",
    path: "/openapi.json",
    summary: "This description",
    handle: () => replyJson(200, describeApi(ROUTES)),
  },
  { method: "GET", path: "/metrics", summary: "Prometheus metrics", handle: showMetrics },
  { method: "GET", path: "/healthz", summary: "Liveness", handle: (call) => answerProbe(call, "OK") },
  {
    method: "GET",
    path: "/readyz",
    summary: "Readiness: the model type",
    handle: (call) => answerProbe(call, call.service.modelType),
  },
  { method: "GET", path: "/info", summary: "Model card", handle: ({ service }) => replyJson(200, service.card()) },
];

/** The whole API; `/openapi.json` is written from it. */
export const ROUTES: readonly Route[] = [
  ...STATUS_ROUTES,
  ...ANNOTATION_ROUTES,
  ...STREAM_ROUTES,
  ...WEBSOCKET_ROUTES,
  ...SSE_ROUTES,
  ...GENERATION_ROUTES,
  ...REPORT_ROUTES,
  ...TRAINING_ROUTES,
  { method: "GET", path: "/misbehave/log", summary: "Requests seen so far", handle: showRequests },
];

function redirectToDocs(call: Call): Reply {
  const prefix = (call.header("x-forwarded-prefix") ?? "").replace(/\/+$/u, "");
  return {
    status: 307,
    headers: { location: `http://${call.header("host") ?? ""}${prefix}/docs` },
    body: Buffer.alloc(0),
  };
}

function showDocs(): Reply {
  return { status: 200, headers: { "content-type": "text/html; charset=utf-8" }, body: Buffer.from(DOCS_PAGE) };
}

function showMetrics({ service }: Call): Reply {
  return replyText(200, service.metrics.write(), { "content-type": "text/plain; version=1.0.0; charset=utf-8" });
}

function answerProbe({ service }: Call, text: string): Reply {
  if (service.options.neverReady) return replyJson(503, { message: "The model is not ready" });
  return replyText(200, text);
}

function showRequests({ service }: Call): Reply {
  if (!service.options.misbehave) throw refuseWithDetail(404, "Not Found");
  return replyJson(200, service.requests.entries);
}
