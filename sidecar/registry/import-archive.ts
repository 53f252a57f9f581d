/**
 * Brings an archive in Cogment's own layout in: models in byte order, their versions ascending, numbers, moments, hashes and user data kept.
 * What cannot come in is told of and keeps nothing else out. What is there already stays as it is, so a run that was cut short is
 * finished by running again.
 */

import { lstat } from "node:fs/promises";
import { join } from "node:path";
import { SluiceError } from "../../core/contract/errors.js";
import type { RegistryModel } from "../../core/contract/registry.js";
import {
  type ImportRequest,
  type ItemEvent,
  type ScannedEvent,
  type TransferEvent,
  TransferTally,
  transferItem,
} from "../../core/contract/registry-transfer.js";
import { failpoint } from "../../core/runtime/failpoints.js";
import { closedFolder, type ModelPlan, planModel, topItem } from "./archive-plan.js";
import { type Entry, entriesOf, MAX_INFO_BYTES, readInfoText } from "./cogment-folder.js";
import { InfoFault, readModelInfo } from "./cogment-info.js";
import { modelFileOf, versionFilesOf } from "./cogment-names.js";
import { describeProblem, importVersion } from "./import-version.js";
import type { ImportTarget } from "./importer.js";

type UserData = RegistryModel["userData"];
type Events = AsyncGenerator<TransferEvent>;

/**
 * Ends with `end`.
 * @throws INVALID_PARAMETER where there is no such folder; DISK_FULL, STORE_FAILED, REGISTRY_BUSY; the signal's reason
 */
export async function* importArchive(request: ImportRequest, target: ImportTarget, signal: AbortSignal): Events {
  const top = await topOf(request.dir);
  yield await scan(request.dir, top, signal);
  const tally = new TransferTally();
  for await (const event of importAll(request, top, target, signal)) {
    if (event.event === "item") tally.add(event);
    yield event;
  }
  yield { event: "end", ...tally.summary };
}

async function* importAll(
  request: ImportRequest,
  top: readonly Entry[],
  target: ImportTarget,
  signal: AbortSignal,
): Events {
  for (const entry of top) {
    signal.throwIfAborted();
    const item = topItem(entry);
    if (item !== null) yield item;
    else yield* importFolder(request, entry.name, target, signal);
  }
}

async function* importFolder(request: ImportRequest, name: string, target: ImportTarget, signal: AbortSignal): Events {
  const plan = await planOf(request.dir, name);
  if ("event" in plan) {
    yield plan;
    return;
  }
  yield* plan.items;
  if (!plan.isModel) return;
  for await (const item of importModel(request, plan, target)) {
    yield item;
    // Its versions would have nowhere to go; without user data that a later run could read it must not be made.
    if (item.outcome === "left-out" && item.problem !== "info_invalid") return;
  }
  for (const version of plan.versions) {
    signal.throwIfAborted();
    yield* importVersion({ dir: request.dir, modelId: plan.modelId, version }, target, signal);
  }
}

async function planOf(dir: string, name: string): Promise<ModelPlan | ItemEvent> {
  try {
    return planModel(name, await entriesOf(join(dir, name)));
  } catch (caught) {
    return closedFolder(name, describeProblem(caught).message);
  }
}

async function* importModel(
  request: ImportRequest,
  plan: ModelPlan,
  { registry }: ImportTarget,
): AsyncGenerator<ItemEvent> {
  const { modelId } = plan;
  let userData: UserData | null = null;
  try {
    userData = await userDataOf(request.dir, plan);
    if (userData === null)
      yield transferItem("noted", { modelId, problem: "info_missing", message: "it has no .yaml" });
  } catch (caught) {
    const { problem, message } = describeProblem(caught);
    yield transferItem("left-out", { modelId, problem, message: `its user data: ${message}` });
    if (problem !== "info_invalid") return;
  }
  const present = registry.model(modelId);
  if (present !== null && (userData === null || hasSame(present.userData, userData))) {
    yield transferItem("present", { modelId });
  } else if (present !== null && !request.replaceUserData) {
    const message = "its user data differ from the archive's and are kept";
    yield transferItem("noted", { modelId, problem: "user_data_kept", message });
  } else yield await putModel({ modelId, userData: userData ?? {} }, registry);
}

async function putModel(model: RegistryModel, registry: ImportTarget["registry"]): Promise<ItemEvent> {
  const { modelId } = model;
  try {
    failpoint("import.before_model");
    await registry.putModel(model);
    failpoint("import.after_model");
    return transferItem("copied", { modelId });
  } catch (caught) {
    return transferItem("left-out", { modelId, ...describeProblem(caught), problem: "refused" });
  }
}

/** Null: it has no file that would say. */
async function userDataOf(dir: string, { modelId, hasInfo }: ModelPlan): Promise<UserData | null> {
  if (!hasInfo) return null;
  const text = await readInfoText(join(dir, modelId, modelFileOf(modelId)));
  if (text === null) throw new InfoFault(`it is larger than ${MAX_INFO_BYTES} bytes`);
  const info = readModelInfo(text);
  if (info.modelId !== null && info.modelId !== modelId) throw new InfoFault("it is of another model");
  return info.userData;
}

function hasSame(one: UserData, other: UserData): boolean {
  const keys = Object.keys(one);
  return (
    keys.length === Object.keys(other).length &&
    keys.every((key) => Object.hasOwn(other, key) && one[key] === other[key])
  );
}

async function topOf(dir: string): Promise<Entry[]> {
  try {
    return await entriesOf(dir);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new SluiceError("INVALID_PARAMETER", `the folder to import cannot be read: ${code}`, {
      cause,
      hint: "Name the folder that Cogment's registry has as archive_dir, as the user that runs Sluice can read it.",
    });
  }
}

/** How much there is, for whoever watches; what cannot be read now is told of later. */
async function scan(dir: string, top: readonly Entry[], signal: AbortSignal): Promise<ScannedEvent> {
  const sum = { models: 0, versions: 0, dataBytes: 0 };
  for (const entry of top) {
    if (topItem(entry) !== null) continue;
    const plan = await planOf(dir, entry.name);
    if ("event" in plan || !plan.isModel) continue;
    sum.models += 1;
    sum.versions += plan.versions.length;
    for (const version of plan.versions) {
      signal.throwIfAborted();
      if (version.hasData)
        sum.dataBytes += await sizeOf(join(dir, entry.name, versionFilesOf(entry.name, version.versionNumber).data));
    }
  }
  return { event: "scanned", ...sum };
}

async function sizeOf(path: string): Promise<number> {
  return lstat(path).then(
    ({ size }) => size,
    () => 0,
  );
}
