/** `GET /tasks/<id>/events`: a task's way as server-sent events, from where it stands to its final state. */
import type { ServerResponse } from "node:http";
import type { FastifyInstance } from "fastify";
import { SluiceError } from "../../core/contract/errors.js";
import { isFinal, type TaskEvent } from "../../core/contract/tasks.js";
import type { TaskRow } from "../tasks/store.js";
import type { TaskWatch } from "../tasks/wait.js";
import type { AppDeps } from "./deps.js";
import { PlaceRounds } from "./place-rounds.js";
import { bothForms } from "./replies.js";

/** A comment this often keeps proxies on the way from closing a quiet stream. */
const COMMENT_MS = 15_000;

export function registerTaskEvents(app: FastifyInstance, deps: AppDeps, watch: TaskWatch): void {
  const open = new Set<ServerResponse>();
  const rounds = new PlaceRounds(deps.clock);
  app.addHook("preClose", async () => {
    for (const raw of open) raw.end();
  });
  for (const path of bothForms("/tasks/:uuid/events")) {
    app.get<{ Params: { uuid: string } }>(path, (request, reply) => {
      const { uuid } = request.params;
      const task = deps.store.get(uuid);
      if (task === null) throw new SluiceError("TASK_NOT_FOUND", `Task '${uuid}' not found`);
      const { raw } = reply;
      let latest = "";
      const send = (changed: TaskRow): void => {
        const text = JSON.stringify(taskEvent(changed, deps));
        if (text !== latest) raw.write(`event: status\ndata: ${text}\n\n`);
        latest = text;
        if (isFinal(changed.status)) raw.end();
      };
      // Watching may be refused, so it comes before the head.
      const unwatch = watch.watch(uuid, send);
      reply.hijack();
      raw.writeHead(200, {
        "content-type": "text/event-stream",
        "cache-control": "no-store",
        "x-accel-buffering": "no",
        "x-request-id": request.id,
        "sluice-task-id": uuid,
      });
      open.add(raw);
      // Whoever does not read what it has been sent is not sent more of what can wait.
      const comments = setInterval(() => raw.writableNeedDrain || raw.write(": still here\n\n"), COMMENT_MS).unref();
      const endLooks = rounds.add(() => {
        const waiting = raw.writableNeedDrain ? null : deps.store.get(uuid);
        if (waiting?.status === "pending") send(waiting);
      });
      raw.once("close", () => {
        unwatch();
        clearInterval(comments);
        endLooks();
        open.delete(raw);
      });
      send(task);
    });
  }
}

function taskEvent(task: TaskRow, deps: PlaceDeps): TaskEvent {
  const { uuid, status, reason } = task;
  return { uuid, status, ...placeOf(task, deps), reason };
}

type PlaceDeps = Pick<AppDeps, "store" | "estimateSeconds">;

/** Where a task stands while it waits; nulls once it does not. */
export function placeOf(task: TaskRow, deps: PlaceDeps): Pick<TaskEvent, "position" | "eta_seconds"> {
  const position = task.status === "pending" ? deps.store.position(task.uuid) : null;
  return { position, eta_seconds: position === null ? null : deps.estimateSeconds(task, position) };
}
