/** `/admin/on-demand…`: which models requests may start, and how; CMG's routes and shapes. */
import type { FastifyInstance } from "fastify";
import type { OnDemandConfig } from "../../core/contract/model-management.js";
import type { OnDemandConfigs } from "../models/management.js";
import { readBody, validated } from "./body.js";
import { integerOf } from "./lax.js";
import { createBody, createRequest, updateBody, updateRequest } from "./model-bodies.js";
import { Query } from "./query.js";
import { notAnInteger, refuse } from "./refused.js";
import { bothForms, sendNothing } from "./replies.js";

type OfModel = { Params: { name: string } };

export function registerOnDemandRoutes(app: FastifyInstance, configs: OnDemandConfigs): void {
  registerCollection(app, configs);
  registerOne(app, configs);
  for (const url of bothForms("/admin/on-demand/:id/enable")) {
    app.post<{ Params: { id: string } }>(url, async ({ params }) => {
      const id = integerOf(params.id);
      if (id === null) throw refuse("the id is not a number", [notAnInteger(["path", "id"], params.id)]);
      return configs.enable(id);
    });
  }
}

function registerCollection(app: FastifyInstance, configs: OnDemandConfigs): void {
  for (const url of bothForms("/admin/on-demand")) {
    app.get(url, async (request) => {
      const query = new Query(request.query);
      const includeDisabled = query.flag("include_disabled");
      query.done();
      return listOf(configs.list(includeDisabled));
    });
    app.post(url, async (request, reply) => {
      const asked = createRequest(validated(createBody, await readBody(request)));
      return reply.code(201).send(await configs.create(asked));
    });
  }
}

function registerOne(app: FastifyInstance, configs: OnDemandConfigs): void {
  for (const url of bothForms("/admin/on-demand/:name")) {
    app.get<OfModel>(url, async ({ params }) => configs.get(params.name));
    app.put<OfModel>(url, async (request) => {
      const asked = updateRequest(validated(updateBody, await readBody(request)));
      return configs.update(request.params.name, asked);
    });
    app.delete<OfModel>(url, async ({ params }, reply) => {
      await configs.disable(params.name);
      return sendNothing(reply);
    });
  }
  for (const url of bothForms("/admin/on-demand/:name/history")) {
    app.get<OfModel>(url, async ({ params }) => listOf(configs.history(params.name)));
  }
}

function listOf(found: readonly OnDemandConfig[]) {
  return { configs: found, total: found.length };
}
