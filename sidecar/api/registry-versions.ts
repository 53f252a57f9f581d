/** `GET /registry/models/<model>/versions` and `/registry/models/<model>/versions/<version>`. */
import type { FastifyInstance } from "fastify";
import type { VersionInfo } from "../../core/contract/registry.js";
import { MAX_PAGE, type VersionObject, versionObject } from "../../core/contract/registry-api.js";
import type { Registry } from "../registry/registry.js";
import { jsonList } from "./json-list.js";
import { Query } from "./query.js";
import { knownModel, type OfRegistryModel, type OfVersion, versionOf, versionPath } from "./registry-reference.js";
import { bothForms, sendNothing } from "./replies.js";

const DEFAULT_PAGE = 100;
/** Asked for at a time; each may have 256 KiB of user data. */
const SLICE = 50;

export function registerRegistryVersions(app: FastifyInstance, registry: Registry): void {
  for (const url of bothForms("/registry/models/:model/versions")) {
    app.get<OfRegistryModel>(url, async (request, reply) => {
      const query = new Query(request.query);
      const limit = query.integer("limit", { min: 1, max: MAX_PAGE }) ?? DEFAULT_PAGE;
      const from = query.integer("from", { min: 1, max: Number.MAX_SAFE_INTEGER }) ?? 1;
      query.done();
      const { modelId } = knownModel(registry, request.params.model);
      const page = versionPage(registry, modelId, { from, limit });
      return reply.header("content-type", "application/json").send(page);
    });
  }
  for (const url of bothForms("/registry/models/:model/versions/:version")) {
    app.get<OfVersion>(url, async ({ params }, reply) => {
      const info = versionOf(registry, params);
      return reply.header("content-location", versionPath(info)).send(describeVersion(registry, info));
    });
    app.delete<OfVersion>(url, async (request, reply) => {
      const query = new Query(request.query);
      const force = query.flag("force");
      query.done();
      const { modelId, versionNumber } = versionOf(registry, request.params);
      await registry.deleteVersion(modelId, versionNumber, { force });
      return sendNothing(reply);
    });
  }
}

export function describeVersion(registry: Registry, info: VersionInfo): VersionObject {
  const isThere = registry.model(info.modelId) !== null;
  return versionObject(info, isThere ? registry.aliases(info.modelId) : []);
}

function versionPage(registry: Registry, modelId: string, { from, limit }: { from: number; limit: number }) {
  let next = from;
  const more = (count: number) =>
    registry.model(modelId) === null ? [] : registry.versions(modelId, { from: next, limit: count });
  function* items(): Generator<VersionObject> {
    for (let left = limit; left > 0; ) {
      const found = more(Math.min(SLICE, left));
      if (found.length === 0) return;
      left -= found.length;
      const aliases = registry.aliases(modelId);
      for (const info of found) {
        next = info.versionNumber + 1;
        yield versionObject(info, aliases);
      }
    }
  }
  return jsonList({
    name: "versions",
    items: items(),
    rest: () => ({ next: more(1)[0]?.versionNumber ?? null }),
  });
}
