/** What everybody who meets the model registry agrees on: its models and versions, and how a version is named in a `model_uri`. */
import { SluiceError } from "./errors.js";

export interface RegistryModel {
  /** Checked by {@link checkModelId} before it is made; imported ones too. */
  readonly modelId: string;
  /** The caller's own keys and values; at most {@link MAX_USER_DATA_BYTES} in all. */
  readonly userData: Readonly<Record<string, string>>;
}

export interface VersionInfo {
  readonly modelId: string;
  /** From 1 up; never used twice while the model exists. */
  readonly versionNumber: number;
  /** Nanoseconds since 1970, 0 to 2^64-1, as its maker gave it or as the upload ended. */
  readonly creationTimestamp: bigint;
  /** On disk for good; else it is gone with the process, or when newer ones need its room. */
  readonly archived: boolean;
  /** SHA-256 of its bytes in base64, standard alphabet, padded. */
  readonly dataHash: string;
  readonly dataBytes: number;
  readonly userData: Readonly<Record<string, string>>;
}

export interface Alias {
  readonly modelId: string;
  /** See {@link ALIAS_NAME}. */
  readonly alias: string;
  /** Null: it was removed then (in a history alone). */
  readonly versionNumber: number | null;
  /** Epoch milliseconds. */
  readonly setAtMs: number;
}

export const MAX_MODEL_ID_BYTES = 255;
export const MAX_USER_DATA_BYTES = 256 * 1024;
/** `latest` is no alias: it always means the newest version. */
export const ALIAS_NAME = /^(?!latest$)[A-Za-z][A-Za-z0-9_.-]{0,127}$/;

/**
 * @throws REGISTRY_ID_INVALID for an id that could not safely name a file, or that nobody could read: U+FFFD is what became of bytes
 *   that were no UTF-8
 */
export function checkModelId(modelId: string): void {
  const isUsable =
    modelId !== "" &&
    modelId !== "." &&
    modelId !== ".." &&
    modelId === Buffer.from(modelId).toString() &&
    Buffer.byteLength(modelId) <= MAX_MODEL_ID_BYTES &&
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
    !/[/\\\u0000-\u001f\u007f\ufffd\p{Surrogate}]/u.test(modelId);
  if (!isUsable) throw new SluiceError("REGISTRY_ID_INVALID", `${shownId(modelId)} cannot be a model's id`);
}

/** An id in double quotes, escaped and cut, fit for a message. */
export function shownId(modelId: string): string {
  return JSON.stringify(modelId.length > 80 ? `${modelId.slice(0, 80)}…` : modelId);
}

/** Which version of a model is meant: a number, `latest`, or an alias. */
export type VersionReference = number | string;

export interface RegistryUri {
  readonly modelId: string;
  readonly version: VersionReference;
}

/** `sluice://<model>/<number|latest|alias>`; the model's id is percent-encoded where it must be. */
const REGISTRY_URI = /^sluice:\/\/([^/]+)\/([^/]+)$/;

export function isRegistryUri(modelUri: string): boolean {
  return modelUri.startsWith("sluice://");
}

/** @throws INVALID_PARAMETER where a URI of this scheme names no version */
export function readRegistryUri(modelUri: string): RegistryUri {
  const [, encodedId, version] = REGISTRY_URI.exec(modelUri) ?? [];
  const modelId = encodedId === undefined ? null : decoded(encodedId);
  if (modelId === null || version === undefined || !isVersionReference(version)) {
    throw new SluiceError(
      "INVALID_PARAMETER",
      `model_uri ${shownId(modelUri)} names no version of a model in the registry`,
      {
        hint: "Write sluice://<model>/<number>, sluice://<model>/latest or sluice://<model>/<alias>.",
      },
    );
  }
  checkModelId(modelId);
  return { modelId, version: /^\d+$/.test(version) ? Number(version) : version };
}

export function registryUri({ modelId, version }: RegistryUri): string {
  return `sluice://${encodeURIComponent(modelId)}/${version}`;
}

export function isVersionReference(text: string): boolean {
  return /^[1-9]\d{0,9}$/.test(text) || text === "latest" || ALIAS_NAME.test(text);
}

function decoded(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}
