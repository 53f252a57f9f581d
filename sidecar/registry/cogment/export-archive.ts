/**
 * Writes the registry's archived versions out in Cogment's own layout, so that Cogment's registry can serve them. Its layout has no place
 * for transient versions, aliases, and numbers that are used up; ids too long for its file names are left out.
 */
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { SluiceError } from "../../../core/contract/errors.js";
import type { RegistryModel, VersionInfo } from "../../../core/contract/registry.js";
import {
  type ExportRequest,
  type ItemEvent,
  type ScannedEvent,
  type TransferEvent,
  TransferTally,
  transferItem,
} from "../../../core/contract/registry-transfer.js";
import { modelIdsOf } from "../model-ids.js";
import type { Registry } from "../registry.js";
import { openSource, readInfoText } from "./cogment-folder.js";
import { readVersionInfo, writeModelInfo, writeVersionInfo } from "./cogment-info.js";
import { fitsFileName, modelFileOf, versionFilesOf } from "./cogment-names.js";
import { makeModelFolder, prepareTop, settleFolder, writeText, writeWhole } from "./export-folder.js";

type Events = AsyncGenerator<TransferEvent>;

const PAGE = 200;
const PIECE_BYTES = 1024 * 1024;
const TELL_EVERY_BYTES = 8 * 1024 * 1024;

/**
 * Ends with `end`.
 * @throws INVALID_PARAMETER for a folder that cannot be used; REGISTRY_MODEL_UNKNOWN; DISK_FULL, STORE_FAILED; the signal's reason
 */
export async function* exportArchive(request: ExportRequest, registry: Registry, signal: AbortSignal): Events {
  const ids = await idsOf(request, registry);
  await prepareTop(request.dir, request.merge);
  yield await scan(ids, registry);
  const tally = new TransferTally();
  for (const modelId of ids) {
    for await (const event of exportModel(modelId, { request, registry, signal })) {
      if (event.event === "item") tally.add(event);
      yield event;
    }
  }
  await settleFolder(request.dir);
  yield { event: "end", ...tally.summary };
}

interface Exporting {
  readonly request: ExportRequest;
  readonly registry: Registry;
  readonly signal: AbortSignal;
}

async function* exportModel(modelId: string, exporting: Exporting): Events {
  const { request, registry, signal } = exporting;
  const model = registry.model(modelId);
  if (model === null) return;
  if (!fitsFileName(modelId, registry.latest(modelId)?.versionNumber ?? 1)) {
    const message = "its id is too long for a file's name in this layout";
    yield transferItem("left-out", { modelId, problem: "odd_name", message });
    return;
  }
  const folder = join(request.dir, modelId);
  const isNew = await makeModelFolder(folder);
  if (!isNew && !request.merge) {
    const message = "another model's folder has this name on that disk";
    yield transferItem("left-out", { modelId, problem: "conflict", message });
    return;
  }
  yield await exportInfo(model, folder);
  for await (const info of versionsOf(modelId, registry)) {
    signal.throwIfAborted();
    yield* exportVersion(info, folder, exporting);
  }
  await settleFolder(folder);
}

async function exportInfo(model: RegistryModel, folder: string): Promise<ItemEvent> {
  const { modelId } = model;
  const name = modelFileOf(modelId);
  const text = writeModelInfo(model);
  const present = await readIfThere(join(folder, name));
  if (present === text) return transferItem("present", { modelId });
  if (present !== null) {
    const message = "its .yaml there says another thing and is kept";
    return transferItem("noted", { modelId, problem: "user_data_kept", message });
  }
  await writeText({ folder, name }, text);
  return transferItem("copied", { modelId });
}

async function* exportVersion(info: VersionInfo, folder: string, exporting: Exporting): Events {
  const { modelId, versionNumber, dataBytes } = info;
  const of = { modelId, versionNumber };
  if (!info.archived) {
    yield transferItem("noted", { ...of, problem: "transient", message: "transient versions have no place there" });
    return;
  }
  const names = versionFilesOf(modelId, versionNumber);
  const there = await readIfThere(join(folder, names.info));
  if (there !== null) {
    const isSame = await holdsSame(there, join(folder, names.data), info);
    if (isSame) yield { event: "progress", dataBytes };
    yield isSame
      ? transferItem("present", { ...of, dataBytes })
      : transferItem("left-out", { ...of, problem: "conflict", message: "another version of this number is there" });
    return;
  }
  try {
    yield* copyVersion(info, folder, exporting);
    yield transferItem("copied", { ...of, dataBytes });
  } catch (caught) {
    yield faultOf(of, caught);
  }
}

/** The data first: an info without data would be served. */
async function* copyVersion(info: VersionInfo, folder: string, { registry, signal }: Exporting): Events {
  const { modelId, versionNumber } = info;
  const names = versionFilesOf(modelId, versionNumber);
  const { stream } = await registry.open(modelId, versionNumber, { chunkBytes: PIECE_BYTES });
  let untold = 0;
  try {
    for await (const bytes of writeWhole({ folder, name: names.data }, stream)) {
      signal.throwIfAborted();
      untold += bytes;
      if (untold < TELL_EVERY_BYTES) continue;
      yield { event: "progress", dataBytes: untold };
      untold = 0;
    }
  } finally {
    stream.destroy();
  }
  await writeText({ folder, name: names.info }, writeVersionInfo(info));
  yield { event: "progress", dataBytes: untold };
}

/** What keeps one version out and nothing else. @throws every other fault again */
function faultOf(of: Pick<VersionInfo, "modelId" | "versionNumber">, caught: unknown): ItemEvent {
  if (!(caught instanceof SluiceError)) throw caught;
  if (caught.code === "VERSION_DAMAGED") {
    return transferItem("left-out", { ...of, problem: "hash_differs", message: caught.message });
  }
  if (caught.code === "REGISTRY_VERSION_UNKNOWN" || caught.code === "REGISTRY_MODEL_UNKNOWN") {
    return transferItem("left-out", { ...of, problem: "data_missing", message: caught.message });
  }
  throw caught;
}

async function holdsSame(infoText: string, dataPath: string, { dataHash, dataBytes }: VersionInfo): Promise<boolean> {
  try {
    if (readVersionInfo(infoText).dataHash !== dataHash) return false;
    const { handle, bytes } = await openSource(dataPath);
    await handle.close();
    return bytes === dataBytes;
  } catch {
    return false;
  }
}

/** Null where there is nothing. */
async function readIfThere(path: string): Promise<string | null> {
  try {
    return (await readInfoText(path)) ?? "";
  } catch (caught) {
    if ((caught as NodeJS.ErrnoException).code === "ENOENT") return null;
    return "";
  }
}

/** @throws REGISTRY_MODEL_UNKNOWN */
async function idsOf({ modelIds }: ExportRequest, registry: Registry): Promise<string[]> {
  if (modelIds !== null) {
    for (const modelId of modelIds) registry.versions(modelId, { from: 1, limit: 1 });
    return [...new Set(modelIds)];
  }
  const ids: string[] = [];
  for (const page of modelIdsOf(registry)) {
    ids.push(...page);
    await setImmediate();
  }
  return ids;
}

async function scan(ids: readonly string[], registry: Registry): Promise<ScannedEvent> {
  const sum = { models: ids.length, versions: 0, dataBytes: 0 };
  for (const modelId of ids) {
    for await (const info of versionsOf(modelId, registry)) {
      if (!info.archived) continue;
      sum.versions += 1;
      sum.dataBytes += info.dataBytes;
    }
  }
  return { event: "scanned", ...sum };
}

/** Ascending; none where the model is gone. A turn of the event loop lies between two pages. */
async function* versionsOf(modelId: string, registry: Registry): AsyncGenerator<VersionInfo> {
  for (let from = 1; registry.model(modelId) !== null; ) {
    const page = registry.versions(modelId, { from, limit: PAGE });
    yield* page;
    if (page.length < PAGE) return;
    from = page.at(-1)!.versionNumber + 1;
    await setImmediate();
  }
}
