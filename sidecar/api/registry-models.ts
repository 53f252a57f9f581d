/** `/registry/models` and `/registry/models/<model>`. */
import type { FastifyInstance } from "fastify";
import { checkModelId, type RegistryModel } from "../../core/contract/registry.js";
import { MAX_PAGE, type ModelObject, modelObject } from "../../core/contract/registry-api.js";
import type { Registry } from "../registry/registry.js";
import { readBody, validatedFields } from "./body.js";
import { jsonList } from "./json-list.js";
import { Query } from "./query.js";
import { MAX_JSON_BYTES, modelBody, userDataOf } from "./registry-bodies.js";
import { knownModel, type OfRegistryModel } from "./registry-reference.js";
import { bothForms, sendNothing } from "./replies.js";

const DEFAULT_PAGE = 100;
/** Asked for at a time. */
const SLICE = 50;

export function registerRegistryModels(app: FastifyInstance, registry: Registry): void {
  for (const url of bothForms("/registry/models")) {
    app.get(url, async (request, reply) => {
      const query = new Query(request.query);
      const limit = query.integer("limit", { min: 1, max: MAX_PAGE }) ?? DEFAULT_PAGE;
      const after = query.text("after");
      query.done();
      return reply.header("content-type", "application/json").send(modelPage(registry, limit, after));
    });
  }
  for (const url of bothForms("/registry/models/:model")) {
    app.get<OfRegistryModel>(url, async ({ params }) => describe(registry, knownModel(registry, params.model)));
    app.put<OfRegistryModel>(url, async (request, reply) => {
      const { model: modelId } = request.params;
      checkModelId(modelId);
      const body = await readBody(request, MAX_JSON_BYTES);
      const isNew = registry.model(modelId) === null;
      const model = { modelId, userData: userDataOf(validatedFields(modelBody, body), body) };
      await registry.putModel(model);
      return reply.code(isNew ? 201 : 200).send(describe(registry, registry.model(modelId) ?? model));
    });
    app.delete<OfRegistryModel>(url, async (request, reply) => {
      const query = new Query(request.query);
      const force = query.flag("force");
      query.done();
      const { modelId } = knownModel(registry, request.params.model);
      await registry.deleteModel(modelId, { force });
      return sendNothing(reply);
    });
  }
}

function modelPage(registry: Registry, limit: number, after: string | null) {
  let last = after;
  let hasMore = true;
  function* items(): Generator<ModelObject> {
    for (let left = limit; left > 0 && hasMore; ) {
      const models = registry.models({
        skip: 0,
        limit: Math.min(SLICE, left),
        ...(last === null ? {} : { after: last }),
      });
      hasMore = models.length === Math.min(SLICE, left);
      left -= models.length;
      for (const model of models) {
        last = model.modelId;
        yield describe(registry, model);
      }
    }
  }
  return jsonList({
    name: "models",
    items: items(),
    rest: () => ({ next: hasMore && hasModelAfter(registry, last) ? last : null }),
  });
}

function hasModelAfter(registry: Registry, after: string | null): boolean {
  return registry.models({ skip: 0, limit: 1, ...(after === null ? {} : { after }) }).length > 0;
}

/** A model that goes while a page is written is shown as it was last known. */
function describe(registry: Registry, model: RegistryModel): ModelObject {
  const isThere = registry.model(model.modelId) !== null;
  const latest = isThere ? registry.latest(model.modelId) : null;
  return modelObject(model, latest, isThere ? registry.aliases(model.modelId) : []);
}
