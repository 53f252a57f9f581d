/** `/registry/models/<model>/aliases…`: names for versions, and what they meant before. */
import type { FastifyInstance } from "fastify";
import { SluiceError } from "../../core/contract/errors.js";
import { ALIAS_NAME, shownId } from "../../core/contract/registry.js";
import { aliasObject } from "../../core/contract/registry-api.js";
import type { Registry } from "../registry/registry.js";
import { aliasUnknown } from "../registry/version-rules.js";
import { readBody, validated } from "./body.js";
import { aliasBody } from "./registry-bodies.js";
import { knownModel, type OfRegistryModel, versionOf } from "./registry-reference.js";
import { bothForms, sendNothing } from "./replies.js";

interface OfAlias {
  Params: { model: string; alias: string };
}

export function registerRegistryAliases(app: FastifyInstance, registry: Registry): void {
  for (const url of bothForms("/registry/models/:model/aliases")) {
    app.get<OfRegistryModel>(url, async ({ params }) => {
      const { modelId } = knownModel(registry, params.model);
      return { aliases: registry.aliases(modelId).map(aliasObject) };
    });
  }
  for (const url of bothForms("/registry/models/:model/aliases/:alias")) {
    app.get<OfAlias>(url, async ({ params }) => {
      const { modelId } = knownModel(registry, params.model);
      const found = registry.aliases(modelId).find(({ alias }) => alias === params.alias);
      if (found === undefined) throw aliasUnknown(params.model, params.alias);
      return aliasObject(found);
    });
    app.put<OfAlias>(url, async (request) => {
      const { model, alias } = request.params;
      knownModel(registry, model);
      if (!ALIAS_NAME.test(alias)) {
        throw new SluiceError("REGISTRY_ALIAS_INVALID", `${shownId(alias)} cannot be an alias`);
      }
      const { version } = validated(aliasBody, await readBody(request));
      const { versionNumber } = versionOf(registry, { model, version: String(version) });
      return aliasObject(await registry.setAlias(model, alias, versionNumber));
    });
    app.delete<OfAlias>(url, async ({ params }, reply) => {
      const { modelId } = knownModel(registry, params.model);
      await registry.removeAlias(modelId, params.alias);
      return sendNothing(reply);
    });
  }
  for (const url of bothForms("/registry/models/:model/aliases/:alias/history")) {
    app.get<OfAlias>(url, async ({ params }) => {
      const { modelId } = knownModel(registry, params.model);
      return { history: registry.aliasHistory(modelId, params.alias).map(aliasObject) };
    });
  }
}
