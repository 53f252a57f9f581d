/** `GET /tasks`, `GET /tasks/<id>`, `DELETE /tasks/<id>`: CMG's shapes, and what CMG lacks. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { SluiceError } from "../../core/contract/errors.js";
import { isFinal, type TaskDetail, wireTime } from "../../core/contract/tasks.js";
import { attemptHistory, taskDetail } from "../tasks/answers.js";
import type { TaskRow } from "../tasks/store.js";
import type { TaskWatch } from "../tasks/wait.js";
import type { AppDeps } from "./deps.js";
import { sendResult } from "./download.js";
import { Query } from "./query.js";
import { bothForms, goneSignal } from "./replies.js";
import { placeOf } from "./task-events.js";

const MAX_WAIT_SECONDS = 300;

type OfTask = FastifyRequest<{ Params: { uuid: string } }>;

export function registerTaskRoutes(app: FastifyInstance, deps: AppDeps, watch: TaskWatch): void {
  registerWhy(app, deps);
  for (const path of bothForms("/tasks")) {
    app.get(path, async () => {
      throw new SluiceError("TASK_LIST_FORBIDDEN", "Only admins can list tasks");
    });
  }
  for (const path of bothForms("/tasks/:uuid")) {
    const reading = async (request: OfTask, reply: FastifyReply) => {
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
      const { status, answer } = task;
      if (asked.download && status === "succeeded" && answer !== null)
        return sendResult({ request, reply }, { ...task, answer }, deps.blobs);
      if (!asked.detail) return { uuid, status };
      const detail = {
        ...taskDetail(task),
        callback: deps.callbacks?.stateOf(uuid) ?? null,
        attempt_history: attemptHistory(deps.store.attempts(uuid)),
      };
      return status === "pending" ? { ...detail, ...waitDetail(task, deps) } : detail;
    };
    app.get(path, reading);
    app.head(path, reading);
    app.delete<{ Params: { uuid: string } }>(path, async (request, reply) => {
      void reply.header("sluice-task-id", request.params.uuid);
      return cancel(request.params.uuid, reply, deps);
    });
  }
}

function registerWhy(app: FastifyInstance, deps: AppDeps): void {
  for (const path of bothForms("/tasks/:uuid/why")) {
    app.get(path, async (request: OfTask, reply) => {
      const { uuid } = request.params;
      const why = await deps.why(uuid);
      if (why === null) throw notFound(uuid);
      void reply.header("sluice-task-id", uuid);
      return why;
    });
  }
}

function waitDetail(
  task: TaskRow,
  deps: AppDeps,
): Required<Pick<TaskDetail, "position" | "eta_seconds" | "not_before">> {
  const isLater = task.notBeforeMs > deps.clock.now();
  return { ...placeOf(task, deps), not_before: isLater ? wireTime(task.notBeforeMs) : null };
}

function notFound(uuid: string): SluiceError {
  return new SluiceError("TASK_NOT_FOUND", `Task '${uuid}' not found`);
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
