/** The calls about models. */
import type { RegistryModel } from "../../../core/contract/registry.js";
import { shownId } from "../../../core/contract/registry.js";
import type { Registry } from "../registry.js";
import { GrowingReply, type ReplyRoom, SLICE_ITEMS } from "./growing-reply.js";
import { chosenPage, readModelHandle } from "./pages.js";
import { asRefusal, CallRefused, isMissing, unknownModel } from "./statuses.js";
import { encodeReply, type Requests, wireModel } from "./wire.js";

export async function createOrUpdateModel(
  registry: Registry,
  { model_info: info }: Requests["CreateOrUpdateModel"],
): Promise<Buffer> {
  if (info === null) throw new CallRefused("INVALID_ARGUMENT", "the request has no model_info");
  try {
    await registry.putModel({ modelId: info.model_id, userData: info.user_data });
  } catch (error) {
    throw asRefusal(error, `creating model ${shownId(info.model_id)}`);
  }
  return encodeReply("CreateOrUpdateModel", {});
}

export async function deleteModel(registry: Registry, { model_id: id }: Requests["DeleteModel"]): Promise<Buffer> {
  try {
    await registry.deleteModel(id, { force: false });
  } catch (error) {
    if (isMissing(error, "REGISTRY_MODEL_UNKNOWN")) throw unknownModel(id);
    throw asRefusal(error, `deleting model ${shownId(id)}`);
  }
  return encodeReply("DeleteModel", {});
}

export async function retrieveModels(
  registry: Registry,
  request: Requests["RetrieveModels"],
  room: ReplyRoom,
): Promise<Buffer> {
  const skip = readModelHandle(request.model_handle);
  const reply = new GrowingReply("RetrieveModels", room);
  const slices =
    request.model_ids.length > 0
      ? chosenModels(registry, chosenPage(request.model_ids, skip, request.models_count))
      : allModels(registry, skip, request.models_count);
  let returned = 0;
  for (const models of slices) {
    returned += models.length;
    if (!(await reply.add({ model_infos: models.map(wireModel) }))) break;
  }
  return reply.end({ next_model_handle: `${skip + BigInt(returned)}` });
}

function* allModels(registry: Registry, skip: bigint, count: number): Generator<RegistryModel[]> {
  if (skip > BigInt(Number.MAX_SAFE_INTEGER)) return;
  const wanted = count === 0 ? Number.POSITIVE_INFINITY : count;
  for (let taken = 0; taken < wanted; ) {
    const limit = Math.min(SLICE_ITEMS, wanted - taken);
    const models = registry.models({ skip: Number(skip) + taken, limit });
    if (models.length > 0) yield models;
    if (models.length < limit) return;
    taken += models.length;
  }
}

function* chosenModels(registry: Registry, ids: readonly string[]): Generator<RegistryModel[]> {
  for (let start = 0; start < ids.length; start += SLICE_ITEMS) {
    yield ids.slice(start, start + SLICE_ITEMS).map((id) => {
      const model = registry.model(id);
      if (model === null) throw unknownModel(id);
      return model;
    });
  }
}
