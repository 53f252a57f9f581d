/** The calls about versions that answer with infos. */
import { shownId, type VersionInfo } from "../../../core/contract/registry.js";
import type { Registry } from "../registry.js";
import { GrowingReply, type ReplyRoom, SLICE_ITEMS } from "./growing-reply.js";
import { chosenPage, readVersionHandle } from "./pages.js";
import { asRefusal, isMissing, unknownModel, unknownVersion } from "./statuses.js";
import { type Requests, wireVersion } from "./wire.js";

export async function retrieveVersionInfos(
  registry: Registry,
  request: Requests["RetrieveVersionInfos"],
  room: ReplyRoom,
): Promise<Buffer> {
  const handle = readVersionHandle(request.version_handle);
  const { model_id: id, version_numbers: numbers, versions_count: count } = request;
  const reply = new GrowingReply("RetrieveVersionInfos", room);
  const slices =
    numbers.length > 0
      ? chosenVersions(registry, id, chosenPage(numbers, handle, count))
      : allVersions(registry, id, { handle, count });
  let next = handle;
  for (const infos of slices) {
    next = BigInt(infos.at(-1)!.versionNumber) + 1n;
    if (!(await reply.add({ version_infos: infos.map(wireVersion) }))) break;
  }
  return reply.end({ next_version_handle: `${next}` });
}

function* allVersions(
  registry: Registry,
  id: string,
  { handle, count }: { handle: bigint; count: number },
): Generator<VersionInfo[]> {
  if (registry.model(id) === null) throw unknownModel(id);
  if (handle > BigInt(Number.MAX_SAFE_INTEGER)) return;
  let from = Math.max(Number(handle), 1);
  for (let left = count === 0 ? Number.POSITIVE_INFINITY : count; left > 0; ) {
    const limit = Math.min(SLICE_ITEMS, left);
    const infos = versionsFrom(registry, id, { from, limit });
    if (infos.length > 0) yield infos;
    if (infos.length < limit) return;
    from = infos.at(-1)!.versionNumber + 1;
    left -= infos.length;
  }
}

function versionsFrom(registry: Registry, id: string, page: { from: number; limit: number }): VersionInfo[] {
  try {
    return registry.versions(id, page);
  } catch (error) {
    if (isMissing(error, "REGISTRY_MODEL_UNKNOWN")) throw unknownModel(id);
    throw asRefusal(error, `listing versions for model ${shownId(id)}`);
  }
}

function* chosenVersions(registry: Registry, id: string, numbers: readonly number[]): Generator<VersionInfo[]> {
  for (let start = 0; start < numbers.length; start += SLICE_ITEMS) {
    yield numbers.slice(start, start + SLICE_ITEMS).map((number) => versionAt(registry, id, number));
  }
}

/** By number as in the contract: 0 never, negative ones counted from the newest. @throws NOT_FOUND in the contract's words */
export function versionAt(registry: Registry, id: string, number: number): VersionInfo {
  if (number === 0) throw unknownVersion(id, number);
  try {
    return registry.version(id, number);
  } catch (error) {
    if (isMissing(error, "REGISTRY_MODEL_UNKNOWN")) throw number < 0 ? unknownModel(id) : unknownVersion(id, number);
    if (isMissing(error, "REGISTRY_VERSION_UNKNOWN")) throw unknownVersion(id, number);
    throw asRefusal(error, `retrieving version "${number}" for model ${shownId(id)}`);
  }
}
