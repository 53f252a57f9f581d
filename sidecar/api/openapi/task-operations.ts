/** The routes of tasks, as OpenAPI describes them. */
import { z } from "zod";
import type { Operation } from "./operation.js";

const flag = (description: string) => z.boolean().meta({ default: false, description });

const SUBMISSION: Operation = {
  method: "post",
  path: "/models/{name}/tasks/{task}",
  tag: "tasks",
  summary: "Hand in a task; it is on disk when this is answered",
  description: "The body and the query parameters go to the model server's route of that name as they come.",
  headers: {
    "Idempotency-Key": z.string().max(255).meta({ description: "The same key and body meet the same task" }),
    "X-Sluice-Priority": z.int().min(0).max(9).meta({ description: "0 is the most urgent" }),
    "X-Sluice-Tenant": z.string().meta({ description: "Tenants take turns" }),
    "X-Sluice-Deadline": z.string().meta({ description: "How long it may wait for its start: 90s, 5m" }),
    "Sluice-Callback": z.string().meta({ description: "A URL that is told when it has ended" }),
  },
  body: {
    media: ["text/plain", "application/json", "application/x-ndjson", "multipart/form-data"],
    required: false,
  },
  answers: { 200: { description: "It is written down", json: "TaskAccepted" } },
  refusals: [400, 404, 413, 422, 429, 503],
};

const task = (method: "get" | "head"): Operation => ({
  method,
  path: "/tasks/{uuid}",
  tag: "tasks",
  summary: method === "get" ? "A task's state, page or result" : "The same without a body",
  query: {
    detail: flag("The whole page: a TaskDetail"),
    download: flag("The result's bytes, once it has succeeded"),
    wait: z.int().min(0).max(300).meta({ default: 0, description: "Seconds to wait for its end" }),
  },
  ...(method === "get" ? { headers: { Range: z.string().meta({ description: "A part of the result" }) } } : {}),
  answers:
    method === "head"
      ? { 200: { description: "As GET" }, 206: { description: "As GET" } }
      : {
          200: {
            description: "Its state, or what was asked for",
            json: "TaskAnswer",
            media: ["application/octet-stream"],
          },
          206: { description: "A part of the result", media: ["application/octet-stream"] },
        },
  refusals: [404, 416, 422, 500],
});

export const TASK_OPERATIONS: readonly Operation[] = [
  SUBMISSION,
  {
    method: "get",
    path: "/tasks",
    tag: "tasks",
    summary: "Refused: operators list tasks with `sluice tasks list`",
    answers: {},
    refusals: [403],
  },
  task("get"),
  task("head"),
  {
    method: "delete",
    path: "/tasks/{uuid}",
    tag: "tasks",
    summary: "Cancel a task that waits, or a training that runs",
    answers: {
      200: { description: "It was taken out of the queue", json: "TaskCancelled" },
      202: { description: "Its model server was asked to stop", json: "TaskCancelled" },
    },
    refusals: [404, 409],
  },
  {
    method: "get",
    path: "/tasks/{uuid}/events",
    tag: "tasks",
    summary: "A task's way to its end, pushed",
    answers: { 200: { description: "`event: status`, `data:` a TaskEvent", media: ["text/event-stream"] } },
    refusals: [404],
  },
  {
    method: "get",
    path: "/tasks/{uuid}/why",
    tag: "tasks",
    summary: "What it waits for, and until when, about",
    answers: { 200: { description: "In words", json: "TaskWhy" } },
    refusals: [404],
  },
];
