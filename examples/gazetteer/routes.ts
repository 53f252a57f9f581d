import { ANNOTATION_ROUTES } from "./annotation-routes.js";
import { type Call, type Reply, replyJson, replyText } from "./http.js";
import { DOCS_PAGE, describeApi } from "./openapi.js";
import type { Route } from "./route.js";

import { TRAINING_ROUTES } from "./training-routes.js";

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
export const ROUTES: readonly Route[] = [...STATUS_ROUTES, ...ANNOTATION_ROUTES, ...TRAINING_ROUTES];

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
