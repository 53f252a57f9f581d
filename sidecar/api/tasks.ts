/** `GET /tasks`, `GET /tasks/<id>`, `DELETE /tasks/<id>`: CMG's shapes, and what CMG lacks. */
import type { FastifyInstance, FastifyReply } from "fastify";
import { SluiceError } from "../../core/contract/errors.js";
import { isFinal } from "../../core/contract/tasks.js";
import { resultName, taskDetail } from "../tasks/answers.js";
import type { TaskRow } from "../tasks/store.js";
import type { TaskWatch } from "../tasks/wait.js";
import type { AppDeps } from "./deps.js";
import { Query } from "./query.js";
import { bothForms, goneSignal } from "./replies.js";

const MAX_WAIT_SECONDS = 300;

export function registerTaskRoutes(app: FastifyInstance, deps: AppDeps, watch: TaskWatch): void {
  for (const path of bothForms("/tasks")) {
    app.get(path, async () => {
      throw new SluiceError("TASK_LIST_FORBIDDEN", "Only admins can list tasks");
    });
  }
  for (const path of bothForms("/tasks/:uuid")) {
    app.get<{ Params: { uuid: string } }>(path, async (request, reply) => {
      const { uuid } = request.params;
      const query = new Query(request.query);
      const asked = {
        detail: query.flag("detail"),
        download: query.flag("download"),
        waitSeconds: query.integer("wait", { min: 0, max: MAX_WAIT_SECONDS }) ?? 0,
      };
      query.done();
      const waitMs = asked.waitSeconds * 1_000;
      const task = await watch.until(({ status }) => isFinal(status), { uuid, waitMs, signal: goneSignal(reply) });
      if (task === null) throw notFound(uuid);
      void reply.header("sluice-task-id", uuid);
      if (asked.download && task.status === "succeeded" && task.answer !== null) return download(reply, task, deps);
      if (!asked.detail) return { uuid, status: task.status };
      return { ...taskDetail(task), callback: deps.callbacks?.stateOf(uuid) ?? null };
    });
    app.delete<{ Params: { uuid: string } }>(path, async (request, reply) => {
      void reply.header("sluice-task-id", request.params.uuid);
      return cancel(request.params.uuid, reply, deps);
    });
  }
}

function notFound(uuid: string): SluiceError {
  return new SluiceError("TASK_NOT_FOUND", `Task '${uuid}' not found`);
}

async function download(reply: FastifyReply, task: TaskRow, deps: AppDeps): Promise<FastifyReply> {
  const body = await deps.blobs.open(task.answer!.body, { verify: true });
  return reply
    .headers({
      "content-type": "application/octet-stream",
      "content-disposition": `attachment; filename=${resultName(task)}`,
      "x-task-uuid": task.uuid,
      "x-task-status": task.status,
    })
    .send(body);
}

/** The task may move between our look and our act; then we look again. */
const CANCEL_ATTEMPTS = 3;

async function cancel(uuid: string, reply: FastifyReply, deps: AppDeps): Promise<unknown> {
  for (let attempt = 0; attempt < CANCEL_ATTEMPTS; attempt++) {
    const task = deps.store.get(uuid);
    if (task === null) throw notFound(uuid);
    if (isFinal(task.status)) {
      throw new SluiceError("TASK_ALREADY_FINAL", `Task '${uuid}' has already ${task.status}`);
    }
    if (task.status === "running") return cancelRun(task, reply, deps);
    if (task.status === "scheduled") {
      throw new SluiceError("TASK_NOT_CANCELLABLE", `Task '${uuid}' is already running on its model server`);
    }
    const cancelled = await cancelWaiting(task, deps, "The task was cancelled before it started.");
    if (cancelled) return { uuid, status: "failed", reason: "cancelled", message: "It was taken out of the queue." };
  }
  throw new SluiceError("TASK_NOT_CANCELLABLE", `Task '${uuid}' is just being started; try again`);
}

async function cancelRun(task: TaskRow, reply: FastifyReply, deps: AppDeps): Promise<unknown> {
  const { accepted, message } = await deps.cancelTraining(task);
  if (!accepted) throw new SluiceError("TASK_NOT_CANCELLABLE", `the training goes on: ${message}`);
  void reply.code(202);
  return { uuid: task.uuid, status: task.status, reason: null, message };
}

/** @returns false when it no longer waits */
export async function cancelWaiting(task: TaskRow, deps: AppDeps, errorMessage: string): Promise<boolean> {
  const outcome = {
    status: "failed",
    reason: "cancelled",
    errorMessage,
    answer: null,
    finishedAtMs: deps.clock.now(),
  } as const;
  const cancelled = await deps.store.failWaiting(task.uuid, outcome);
  if (cancelled) deps.metrics.completed(task, outcome);
  return cancelled;
}
