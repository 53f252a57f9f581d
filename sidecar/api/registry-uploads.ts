/**
 * Resumable uploads: `POST /registry/models/<model>/uploads` begins one, `HEAD /registry/uploads/<upload>` tells how far it is,
 * `PATCH` brings more, `DELETE` gives it up. The request that brings the last byte answers with the version.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { asSluiceError, SluiceError } from "../../core/contract/errors.js";
import { checkModelId } from "../../core/contract/registry.js";
import type { UploadObject } from "../../core/contract/registry-api.js";
import type { UploadState, Uploads } from "../registry/uploads.js";
import { readBody, validated } from "./body.js";
import { incomingBody } from "./incoming-body.js";
import { Query } from "./query.js";
import { MAX_JSON_BYTES, uploadBody, uploadHeader } from "./registry-bodies.js";
import type { RegistryRouteDeps } from "./registry-deps.js";
import { makingModel } from "./registry-push.js";
import { type OfRegistryModel, versionPath } from "./registry-reference.js";
import { describeVersion } from "./registry-versions.js";
import { bothForms, sendNothing } from "./replies.js";
import { uploadOffset } from "./upload-headers.js";

interface OfUpload {
  Params: { upload: string };
}

export function registerRegistryUploads(app: FastifyInstance, deps: RegistryRouteDeps): void {
  const { registry, uploads } = deps;
  for (const url of bothForms("/registry/models/:model/uploads")) {
    app.post<OfRegistryModel>(url, async (request, reply) => {
      const query = new Query(request.query);
      const create = query.flag("create");
      query.done();
      const { model: modelId } = request.params;
      checkModelId(modelId);
      const body = await readBody(request, MAX_JSON_BYTES);
      const header = uploadHeader(modelId, validated(uploadBody, body), body);
      const state = await makingModel(registry, { modelId, create }, () => uploads.begin(header));
      return tellState(reply.code(201).header("location", `/registry/uploads/${state.id}`), state);
    });
  }
  const parts = new OpenParts();
  for (const url of bothForms("/registry/uploads/:upload")) {
    const looking = async ({ params }: FastifyRequest<OfUpload>, reply: FastifyReply) =>
      tellState(reply, uploads.state(params.upload));
    app.get<OfUpload>(url, looking);
    app.head<OfUpload>(url, looking);
    app.patch<OfUpload>(url, (request, reply) => append(deps, parts, { request, reply }));
    app.delete<OfUpload>(url, async ({ params }, reply) => {
      await parts.end(params.upload);
      await uploads.cancel(params.upload);
      return sendNothing(reply);
    });
  }
}

interface Patching {
  readonly request: FastifyRequest<OfUpload>;
  readonly reply: FastifyReply;
}

async function append(deps: RegistryRouteDeps, parts: OpenParts, { request, reply }: Patching): Promise<FastifyReply> {
  const { registry, uploads, idleMs } = deps;
  const { upload: id } = request.params;
  const offset = uploadOffset(request.headers);
  uploads.state(id);
  try {
    const ended = await parts.run(id, (signal) =>
      uploads.append(id, offset, incomingBody(request.raw, { idleMs: idleMs(), signal })),
    );
    if ("state" in ended) return tellOffset(reply.code(204), ended.state).send();
    const { version } = ended;
    return reply.code(201).header("location", versionPath(version)).send(describeVersion(registry, version));
  } catch (caught) {
    if (asSluiceError(caught).code === "REGISTRY_UPLOAD_CONFLICT") tellOffsetIfThere(reply, uploads, id);
    throw caught;
  }
}

/** What comes in for each upload; a new part ends the one before, whose connection may be dead without anybody having noticed. */
class OpenParts {
  readonly #open = new Map<string, { readonly controller: AbortController; readonly ended: Promise<unknown> }>();

  async run<Value>(id: string, work: (signal: AbortSignal) => Promise<Value>): Promise<Value> {
    await this.end(id);
    const controller = new AbortController();
    const working = work(controller.signal);
    const part = { controller, ended: working.catch(() => undefined) };
    this.#open.set(id, part);
    try {
      return await working;
    } finally {
      if (this.#open.get(id) === part) this.#open.delete(id);
    }
  }

  /** Resolves when what had come is written. */
  async end(id: string): Promise<void> {
    for (let part = this.#open.get(id); part !== undefined; part = this.#open.get(id)) {
      part.controller.abort(new SluiceError("REGISTRY_UPLOAD_CONFLICT", "another request has taken the upload over"));
      await part.ended;
    }
  }
}

function tellState(reply: FastifyReply, state: UploadState): FastifyReply {
  const { id, header, offsetBytes, expiresAtMs } = state;
  const told: UploadObject = {
    upload_id: id,
    model_id: header.modelId,
    data_bytes: header.dataBytes,
    offset: offsetBytes,
    expires_at: new Date(expiresAtMs).toISOString(),
  };
  return tellOffset(reply, state).send(told);
}

function tellOffset(reply: FastifyReply, { header, offsetBytes }: UploadState): FastifyReply {
  return reply.headers({
    "upload-offset": String(offsetBytes),
    "upload-length": String(header.dataBytes),
    "cache-control": "no-store",
  });
}

function tellOffsetIfThere(reply: FastifyReply, uploads: Uploads, id: string): void {
  try {
    tellOffset(reply, uploads.state(id));
  } catch {
    // It ended meanwhile; the refusal stands for itself.
  }
}
