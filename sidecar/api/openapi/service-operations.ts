/** Sluice's own routes, and what it passes through, as OpenAPI describes them. */
import type { Operation } from "./operation.js";

const PASSED: Operation["answers"] = { 200: { description: "The model server's own answer", media: ["*/*"] } };
const PASS_THROUGH = {
  path: "/models/{name}/{route}",
  tag: "model servers",
  summary: "The model server's own routes",
  description:
    "Every path below a model's name reaches its server, whatever the method: light requests straight, heavy ones (process_bulk, train_supervised, evaluate, …) in their turn. `Prefer: wait=30` and `Prefer: respond-async` say how long to hold the line. The model server describes its routes at `/models/{name}/docs`.",
  refusals: [400, 404, 429, 502, 503, 504],
} as const;

export const SERVICE_OPERATIONS: readonly Operation[] = [
  { ...PASS_THROUGH, method: "get", answers: PASSED },
  {
    ...PASS_THROUGH,
    method: "post",
    body: { media: ["*/*"], required: false },
    answers: { ...PASSED, 202: { description: "A task, at `Location`", json: "TaskAccepted" } },
  },
  {
    method: "get",
    path: "/",
    tag: "service",
    summary: "A greeting",
    answers: { 200: { description: "As CogStack Model Gateway says it", json: "Greeting" } },
  },
  {
    method: "get",
    path: "/health",
    tag: "service",
    summary: "Whether its parts do their work",
    answers: {
      200: { description: "All do", json: "Health" },
      503: { description: "Some do not", json: "Unhealthy" },
    },
  },
  {
    method: "get",
    path: "/livez",
    tag: "service",
    summary: "Whether the proxy answers",
    answers: { 200: { description: "It does", media: ["text/plain"] } },
  },
  {
    method: "get",
    path: "/readyz",
    tag: "service",
    summary: "Whether it takes requests, and what of it is degraded",
    answers: {
      200: { description: "It does", json: "Readiness" },
      503: { description: "It is ending", json: "Readiness" },
    },
  },
  {
    method: "get",
    path: "/metrics",
    tag: "service",
    summary: "Metrics of all its processes, as Prometheus reads them",
    answers: { 200: { description: "Prometheus text", media: ["text/plain"] } },
  },
  {
    method: "get",
    path: "/openapi.json",
    tag: "service",
    summary: "This document",
    answers: { 200: { description: "OpenAPI 3.1", media: ["application/json"] } },
  },
  {
    method: "get",
    path: "/docs",
    tag: "service",
    summary: "This document to read and try",
    answers: { 200: { description: "A page", media: ["text/html"] } },
  },
];
