/** `POST /registry/models/<model>/versions`: a version in one request. */
import type { FastifyInstance, FastifyRequest } from "fastify";
import { asSluiceError } from "../../core/contract/errors.js";
import { checkModelId } from "../../core/contract/registry.js";
import { isoToNanos } from "../../core/contract/registry-api.js";
import type { Registry, VersionHeader } from "../registry/registry.js";
import { incomingBody } from "./incoming-body.js";
import { Query } from "./query.js";
import { pairsOf } from "./registry-bodies.js";
import type { RegistryRouteDeps } from "./registry-deps.js";
import { type OfRegistryModel, versionPath } from "./registry-reference.js";
import { describeVersion } from "./registry-versions.js";
import { bothForms } from "./replies.js";
import { declaredBytes, digestOf } from "./upload-headers.js";

export function registerRegistryPush(app: FastifyInstance, { registry, idleMs }: RegistryRouteDeps): void {
  for (const url of bothForms("/registry/models/:model/versions")) {
    app.post<OfRegistryModel>(url, async (request, reply) => {
      const { header, create } = readHeader(request);
      const upload = await makingModel(registry, { modelId: header.modelId, create }, () => registry.create(header));
      try {
        for await (const block of incomingBody(request.raw, { idleMs: idleMs() })) await upload.write(block);
        const info = await upload.commit();
        return reply.code(201).header("location", versionPath(info)).send(describeVersion(registry, info));
      } catch (caught) {
        await upload.abort();
        throw caught;
      }
    });
  }
}

function readHeader(request: FastifyRequest<OfRegistryModel>): { header: VersionHeader; create: boolean } {
  const query = new Query(request.query);
  const create = query.flag("create");
  const archived = query.flag("archived", true);
  const createdAt = query.text("created_at");
  const userData = pairsOf(query.texts("user_data"));
  query.done();
  const { model: modelId } = request.params;
  checkModelId(modelId);
  const header = {
    modelId,
    archived,
    dataBytes: declaredBytes(request.headers),
    dataHash: digestOf(request.headers),
    creationTimestamp: createdAt === null ? null : isoToNanos(createdAt),
    userData,
  };
  return { header, create };
}

/** Where the model is not there and may be made, it is made and the call repeated once; no model is made for what is refused anyway. */
export async function makingModel<Value>(
  registry: Registry,
  { modelId, create }: { modelId: string; create: boolean },
  begin: () => Promise<Value>,
): Promise<Value> {
  try {
    return await begin();
  } catch (caught) {
    if (!create || asSluiceError(caught).code !== "REGISTRY_MODEL_UNKNOWN") throw caught;
  }
  if (registry.model(modelId) === null) await registry.putModel({ modelId, userData: {} });
  return begin();
}
