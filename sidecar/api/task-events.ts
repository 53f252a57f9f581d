/** `GET /tasks/<id>/events`: a task's way as server-sent events, from where it stands to its final state. */
import type { FastifyInstance } from "fastify";
import { SluiceError } from "../../core/contract/errors.js";
import { isFinal, type TaskEvent } from "../../core/contract/tasks.js";
import type { TaskRow } from "../tasks/store.js";
import type { TaskWatch } from "../tasks/wait.js";
import type { AppDeps } from "./deps.js";
import { EventStreams } from "./event-stream.js";
import { PlaceRounds } from "./place-rounds.js";
import { bothForms } from "./replies.js";

export function registerTaskEvents(app: FastifyInstance, deps: AppDeps, watch: TaskWatch): void {
  const streams = new EventStreams(app);
  const rounds = new PlaceRounds(deps.clock);
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
      const endLooks = rounds.add(() => {
        const waiting = raw.writableNeedDrain ? null : deps.store.get(uuid);
        if (waiting?.status === "pending") send(waiting);
      });
      streams.begin(reply, { "sluice-task-id": uuid }, () => {
        unwatch();
        endLooks();
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
