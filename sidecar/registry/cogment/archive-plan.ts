/** What an archive of Cogment's holds, by the names in it: models, their versions in ascending order, and what is neither. Pure. */
import { checkModelId } from "../../../core/contract/registry.js";
import { type ItemEvent, transferItem } from "../../../core/contract/registry-transfer.js";
import type { Entry } from "./cogment-folder.js";
import { looksLikeVersion, roleOf, type VersionPart } from "./cogment-names.js";

export interface PlannedVersion {
  readonly versionNumber: number;
  readonly hasInfo: boolean;
  readonly hasData: boolean;
}

export interface ModelPlan {
  readonly modelId: string;
  /** False for a folder with nothing of a model in it. */
  readonly isModel: boolean;
  readonly hasInfo: boolean;
  /** Ascending. */
  readonly versions: readonly PlannedVersion[];
  /** What is left out or noted by its name alone. */
  readonly items: readonly ItemEvent[];
}

/** Made by file systems at the top of a disk, for root's eyes alone. */
const LOST_AND_FOUND = "lost+found";

/** What is said of a folder that cannot be looked into. */
export function closedFolder(name: string, message: string): ItemEvent {
  return name === LOST_AND_FOUND
    ? stray(name, "the file system's own")
    : transferItem("left-out", { name, problem: "unreadable", message });
}

/** What lies at the top beside models. @returns null for a folder that must be looked into */
export function topItem(entry: Entry): ItemEvent | null {
  const { name, kind } = entry;
  if (kind === "symlink") return symlink(name);
  if (kind !== "folder") return looksLikeVersion(name) ? oddFile(name, "it is in no model's folder") : stray(name);
  return entry.isText ? null : oddFile(name, "its name is no UTF-8");
}

/** @param modelId the folder's name */
export function planModel(modelId: string, entries: readonly Entry[]): ModelPlan {
  const parts = new Map<number, Set<VersionPart>>();
  const items: ItemEvent[] = [];
  let hasInfo = false;
  for (const entry of entries) {
    const name = `${modelId}/${entry.name}`;
    const role = roleOf(modelId, entry.name);
    if (role.kind === "stray") items.push(entry.kind === "symlink" ? symlink(name) : stray(name));
    else if (entry.kind === "symlink") items.push(symlink(name));
    else if (entry.kind !== "file") items.push(oddFile(name, "it is no file"));
    else if (role.kind === "odd") items.push(oddFile(name, role.why));
    else if (role.kind === "model") hasInfo = true;
    else parts.set(role.versionNumber, (parts.get(role.versionNumber) ?? new Set()).add(role.part));
  }
  const versions = [...parts]
    .sort(([one], [other]) => one - other)
    .map(([versionNumber, set]) => ({ versionNumber, hasInfo: set.has("info"), hasData: set.has("data") }));
  const isModel = hasInfo || versions.length > 0;
  if (isModel && isUsableId(modelId)) return { modelId, isModel, hasInfo, versions, items };
  return { modelId, isModel: false, hasInfo: false, versions: [], items: [folderItem(modelId, isModel, entries)] };
}

/** What is said of a folder that no model is read from. */
function folderItem(name: string, isModel: boolean, entries: readonly Entry[]): ItemEvent {
  if (isModel) return oddFile(name, "slashes and control characters cannot stand in a model's id here");
  const hasVersions = entries.some((entry) => looksLikeVersion(entry.name));
  return hasVersions ? oddFile(name, "it holds versions of another name") : stray(name, "no model's files are in it");
}

function isUsableId(modelId: string): boolean {
  try {
    checkModelId(modelId);
    return true;
  } catch {
    return false;
  }
}

function oddFile(name: string, why: string): ItemEvent {
  return transferItem("left-out", { name, problem: "odd_name", message: why });
}

function symlink(name: string): ItemEvent {
  return transferItem("left-out", { name, problem: "symlink", message: "symbolic links are not followed" });
}

function stray(name: string, why = "no part of an archive"): ItemEvent {
  return transferItem("noted", { name, problem: "stray", message: why });
}
