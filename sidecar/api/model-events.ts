/** `/admin/models/events` and `/admin/models/<name>/events`: the present state at once, then every change, as server-sent events. */
import type { ServerResponse } from "node:http";
import type { FastifyInstance, FastifyReply } from "fastify";
import type { ModelEvent } from "../../core/contract/model-management.js";
import type { ModelCatalogue } from "../models/catalogue.js";
import type { ModelManagement } from "../models/management.js";
import { EventStreams } from "./event-stream.js";
import { known } from "./known-model.js";
import { bothForms } from "./replies.js";

interface ModelEventDeps {
  readonly catalogue: ModelCatalogue;
  readonly management: Pick<ModelManagement, "watch">;
}

export function registerModelEvents(app: FastifyInstance, { catalogue, management }: ModelEventDeps): void {
  const streams = new EventStreams(app);
  const follow = (name: string | null, reply: FastifyReply): void => {
    let unwatch = () => {};
    const raw = streams.begin(reply, {}, () => unwatch());
    unwatch = management.watch(name, newestOnly(raw));
  };
  for (const url of bothForms("/admin/models/events")) app.get(url, (_request, reply) => follow(null, reply));
  for (const url of bothForms("/admin/models/:name/events")) {
    app.get<{ Params: { name: string } }>(url, ({ params }, reply) =>
      follow(known(params.name, catalogue).name, reply),
    );
  }
}

/** A reader who is too slow misses what has been overtaken; the newest of each model reaches it. */
function newestOnly(raw: ServerResponse): (event: ModelEvent) => void {
  const late = new Map<string, ModelEvent>();
  const send = (event: ModelEvent) => raw.write(`event: model\ndata: ${JSON.stringify(event)}\n\n`);
  raw.on("drain", () => {
    for (const [model, event] of late) {
      if (raw.writableNeedDrain) return;
      late.delete(model);
      send(event);
    }
  });
  return (event) => {
    if (raw.writableNeedDrain) late.set(event.model, event);
    else send(event);
  };
}
