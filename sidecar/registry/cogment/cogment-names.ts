/**
 * The names in an archive of Cogment's: `<id>/<id>.yaml`, `<id>/<id>-v<NNNNNN>.yaml`, `<id>/<id>-v<NNNNNN>.data`, the id as it is.
 * Which file is which follows from the folder's name, so an id such as `resnet-v2` is no riddle. Pure.
 */

/** As the wire's uint32. */
export const MAX_VERSION_NUMBER = 4_294_967_295;
/** What a file system takes as one name. */
const MAX_NAME_BYTES = 255;

export type FileRole =
  | { readonly kind: "model" }
  | { readonly kind: "version"; readonly versionNumber: number; readonly part: VersionPart }
  /** It may be a model's, but not by its name. */
  | { readonly kind: "odd"; readonly why: string }
  /** It has nothing to do with a model. */
  | { readonly kind: "stray" };

export type VersionPart = "info" | "data";

/** What a file is in the folder of a model. */
export function roleOf(modelId: string, name: string): FileRole {
  if (name === `${modelId}.yaml`) return { kind: "model" };
  const rest = name.startsWith(modelId) ? name.slice(modelId.length) : null;
  const [, digits, ending] = (rest === null ? null : /^-v(\d+)\.(yaml|data)$/.exec(rest)) ?? [];
  if (digits !== undefined) return versionRole(digits, ending === "yaml" ? "info" : "data");
  if (!mayBelongToModel(name)) return { kind: "stray" };
  return { kind: "odd", why: rest === null ? "its name does not begin with its folder's" : "no version is named so" };
}

function versionRole(digits: string, part: VersionPart): FileRole {
  const versionNumber = Number(digits);
  if (versionNumber < 1 || versionNumber > MAX_VERSION_NUMBER) {
    return { kind: "odd", why: `versions are numbered 1 to ${MAX_VERSION_NUMBER}` };
  }
  if (digits !== paddedNumber(versionNumber)) {
    return { kind: "odd", why: `version ${versionNumber} is named -v${paddedNumber(versionNumber)}` };
  }
  return { kind: "version", versionNumber, part };
}

function mayBelongToModel(name: string): boolean {
  return /\.(yaml|data)$/.test(name) || looksLikeVersion(name);
}

/** True for a version's file of some model, and for what Cogment could take for one: it looks for its pattern anywhere in the name. */
export function looksLikeVersion(name: string): boolean {
  return /-v\d+\.(yaml|data)$/.test(name) || /[A-Za-z][A-Za-z0-9_-]*-v\d+.yaml/.test(name);
}

export interface VersionFiles {
  readonly info: string;
  readonly data: string;
}

export function modelFileOf(modelId: string): string {
  return `${modelId}.yaml`;
}

export function versionFilesOf(modelId: string, versionNumber: number): VersionFiles {
  const stem = `${modelId}-v${paddedNumber(versionNumber)}`;
  return { info: `${stem}.yaml`, data: `${stem}.data` };
}

/** False for an id so long that no file can bear it together with a version's number. */
export function fitsFileName(modelId: string, versionNumber: number): boolean {
  return Buffer.byteLength(versionFilesOf(modelId, versionNumber).data) <= MAX_NAME_BYTES;
}

function paddedNumber(versionNumber: number): string {
  return String(versionNumber).padStart(6, "0");
}
