/** The routes of models and of the configurations they are started from, as OpenAPI describes them. */
import { z } from "zod";
import type { Operation } from "./operation.js";

const verbose = z.boolean().meta({ default: false, description: "With type, description and the server's own /info" });
const force = z.boolean().meta({ default: false, description: "Also one that does not run; never one in use" });

const MODELS: readonly Operation[] = [
  {
    method: "get",
    path: "/models",
    tag: "models",
    summary: "The models there are; asking starts none",
    query: { verbose },
    answers: { 200: { description: "Running ones, and those a request starts", json: "ModelLists" } },
    refusals: [422],
  },
  {
    method: "get",
    path: "/models/{name}",
    tag: "models",
    summary: "One model, by its name or address; asking does not start it",
    query: { verbose },
    answers: { 200: { description: "The model", json: "Model" } },
    refusals: [404, 422],
  },
  {
    method: "post",
    path: "/models/{name}",
    tag: "models",
    summary: "Start a model server by hand",
    description:
      "Answers as soon as its program runs, ready or not. Names a model_uri, or a tracking_id that has one; sluice://<model>/<number, latest or alias> is a version of the registry.",
    body: { json: "DeployBody", required: false },
    answers: { 200: { description: "It runs", json: "Deployed" } },
    refusals: [400, 403, 404, 409, 422, 500, 503],
  },
  {
    method: "delete",
    path: "/models/{name}",
    tag: "models",
    summary: "Drain, stop and forget a deployment",
    query: { force },
    answers: { 204: { description: "It is gone" } },
    refusals: [400, 404, 409, 422, 500, 503],
  },
  {
    method: "get",
    path: "/models/{name}/info",
    tag: "models",
    summary: "The model server's own description; starts it if need be",
    answers: { 200: { description: "As the model server says it", media: ["application/json"] } },
    refusals: [503],
  },
];

const OPERATORS: readonly Operation[] = [
  {
    method: "get",
    path: "/admin/models",
    tag: "operators",
    summary: "All models and their states",
    answers: { 200: { description: "By name", json: "ModelStates" } },
  },
  {
    method: "get",
    path: "/admin/models/{name}",
    tag: "operators",
    summary: "One model's state",
    answers: { 200: { description: "The state", json: "ModelState" } },
    refusals: [404],
  },
  {
    method: "post",
    path: "/admin/models/{name}/start",
    tag: "operators",
    summary: "Start a model, or find it running",
    answers: {
      200: { description: "It is ready", json: "ModelState" },
      202: { description: "It starts; its events tell how it goes", json: "ModelState" },
    },
    refusals: [404, 409],
  },
  {
    method: "post",
    path: "/admin/models/{name}/stop",
    tag: "operators",
    summary: "Drain and stop a model; its configuration stays",
    answers: { 200: { description: "It is stopped", json: "ModelState" } },
    refusals: [404, 409],
  },
  {
    method: "get",
    path: "/admin/models/{name}/events",
    tag: "operators",
    summary: "A model's states, pushed: the present one at once, then every change",
    answers: { 200: { description: "`event: model`, `data:` a ModelEvent", media: ["text/event-stream"] } },
    refusals: [404],
  },
  {
    method: "get",
    path: "/admin/models/events",
    tag: "operators",
    summary: "The same of all models",
    answers: { 200: { description: "`event: model`, `data:` a ModelEvent", media: ["text/event-stream"] } },
  },
  {
    method: "get",
    path: "/admin/models/{name}/logs",
    tag: "operators",
    summary: "A model server's own output, which may hold notes: only where models.logs_over_http allows it",
    query: {
      tail: z.int().min(0).max(10_000).meta({ default: 100, description: "Lines of the past" }),
      follow: z.boolean().meta({ default: false, description: "And every line that comes" }),
    },
    answers: { 200: { description: "Lines, newest last", media: ["text/plain"] } },
    refusals: [403, 404, 409, 422],
  },
];

const config = { description: "The configuration", json: "OnDemandConfig" } as const;

const ON_DEMAND: readonly Operation[] = [
  {
    method: "get",
    path: "/admin/on-demand",
    tag: "on demand",
    summary: "The configurations from which requests start models",
    query: { include_disabled: z.boolean().meta({ default: false, description: "Every version" }) },
    answers: { 200: { description: "By name, then newest first", json: "OnDemandList" } },
    refusals: [422],
  },
  {
    method: "post",
    path: "/admin/on-demand",
    tag: "on demand",
    summary: "A new configuration, or a new version of one",
    body: { json: "OnDemandCreate", required: true },
    answers: { 201: config },
    refusals: [400, 404, 409, 422, 503],
  },
  {
    method: "get",
    path: "/admin/on-demand/{name}",
    tag: "on demand",
    summary: "The enabled configuration of a model",
    answers: { 200: config },
    refusals: [404],
  },
  {
    method: "put",
    path: "/admin/on-demand/{name}",
    tag: "on demand",
    summary: "Change it in place; null keeps, the clear flags win",
    body: { json: "OnDemandUpdate", required: true },
    answers: { 200: config },
    refusals: [400, 404, 422, 503],
  },
  {
    method: "delete",
    path: "/admin/on-demand/{name}",
    tag: "on demand",
    summary: "Disable it; its versions stay, and so does a running server",
    answers: { 204: { description: "It is disabled" } },
    refusals: [404],
  },
  {
    method: "get",
    path: "/admin/on-demand/{name}/history",
    tag: "on demand",
    summary: "All its versions",
    answers: { 200: { description: "Newest first", json: "OnDemandList" } },
    refusals: [404],
  },
  {
    method: "post",
    path: "/admin/on-demand/{id}/enable",
    tag: "on demand",
    summary: "Go back to a version",
    answers: { 200: config },
    refusals: [404, 422],
  },
];

export const MODEL_OPERATIONS: readonly Operation[] = [...MODELS, ...ON_DEMAND, ...OPERATORS];
