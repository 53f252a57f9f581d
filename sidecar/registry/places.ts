/** Where a version's bytes lie in the archive. Pure. What it answers is on disks: it must never change. */
import type { ArchivePlace } from "./archive/archive.js";

const MAX_NAME_CHARS = 60;

/** `<instance>-<id made safe>`: the first part alone tells models apart, the second is for people. */
export function folderOf(instance: number, modelId: string): string {
  return `${instance}-${modelId.replaceAll(/[^A-Za-z0-9._-]/gu, "_").slice(0, MAX_NAME_CHARS)}`;
}

export function placeOf(instance: number, modelId: string, versionNumber: number): ArchivePlace {
  return { folder: folderOf(instance, modelId), file: `v${String(versionNumber).padStart(6, "0")}.data` };
}

/** Of a version by its file's name; 0: it is no version's. */
export function numberOf(file: string): number {
  return Number(/^v(\d{6,15})\.data$/.exec(file)?.[1] ?? 0);
}

/** The instance a folder's name begins with; null: no such name. */
export function instanceOf(folder: string): number | null {
  const [, digits] = /^([1-9]\d{0,14})-/.exec(folder) ?? [];
  return digits === undefined ? null : Number(digits);
}
