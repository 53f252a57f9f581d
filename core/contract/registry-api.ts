/** The registry's HTTP API: its objects, and how times and hashes are written in them. */
import { SluiceError } from "./errors.js";
import type { Alias, RegistryModel, VersionInfo } from "./registry.js";

export interface VersionObject {
  readonly model_id: string;
  readonly version_number: number;
  /** ISO 8601 in UTC, with nine decimals: see {@link nanosToIso}. */
  readonly created_at: string;
  /** False: in memory alone. */
  readonly archived: boolean;
  /** SHA-256 in base64, as gRPC has it. */
  readonly data_hash: string;
  /** The same in hexadecimal, as the ETag has it. */
  readonly sha256: string;
  readonly data_bytes: number;
  readonly user_data: Readonly<Record<string, string>>;
  /** That mean it now. */
  readonly aliases: readonly string[];
}

export interface ModelObject {
  readonly model_id: string;
  readonly user_data: Readonly<Record<string, string>>;
  readonly latest_version: VersionObject | null;
  /** Version numbers by alias. */
  readonly aliases: Readonly<Record<string, number>>;
}

export interface AliasObject {
  readonly model_id: string;
  readonly alias: string;
  /** Null: it was removed then; in a history alone. */
  readonly version_number: number | null;
  /** ISO 8601 in UTC. */
  readonly set_at: string;
}

export interface UploadObject {
  readonly upload_id: string;
  readonly model_id: string;
  readonly data_bytes: number;
  /** Bytes that are there for good; the upload goes on from here. */
  readonly offset: number;
  /** ISO 8601 in UTC; each byte puts it off. */
  readonly expires_at: string;
}

/** `next` is where the following page begins, null at the end. */
export interface ModelPage {
  readonly models: readonly ModelObject[];
  /** For `after`. */
  readonly next: string | null;
}

export interface VersionPage {
  readonly versions: readonly VersionObject[];
  /** For `from`. */
  readonly next: number | null;
}

export interface AliasList {
  readonly aliases: readonly AliasObject[];
}

export interface AliasHistory {
  readonly history: readonly AliasObject[];
}

/** What begins a resumable upload. */
export interface UploadRequest {
  readonly data_bytes: number;
  /** Default true. */
  readonly archived?: boolean;
  /** The bytes must have it. */
  readonly sha256?: string;
  /** Default: when the upload is complete. */
  readonly created_at?: string;
  readonly user_data?: Readonly<Record<string, string>>;
}

export const MAX_PAGE = 1_000;

/** @param aliases of its model */
export function versionObject(info: VersionInfo, aliases: readonly Alias[]): VersionObject {
  return {
    model_id: info.modelId,
    version_number: info.versionNumber,
    created_at: nanosToIso(info.creationTimestamp),
    archived: info.archived,
    data_hash: info.dataHash,
    sha256: hexOf(info.dataHash),
    data_bytes: info.dataBytes,
    user_data: info.userData,
    aliases: aliases.filter(({ versionNumber }) => versionNumber === info.versionNumber).map(({ alias }) => alias),
  };
}

export function modelObject(model: RegistryModel, latest: VersionInfo | null, aliases: readonly Alias[]): ModelObject {
  return {
    model_id: model.modelId,
    user_data: model.userData,
    latest_version: latest === null ? null : versionObject(latest, aliases),
    aliases: Object.fromEntries(aliases.map(({ alias, versionNumber }) => [alias, versionNumber ?? 0])),
  };
}

export function aliasObject({ modelId, alias, versionNumber, setAtMs }: Alias): AliasObject {
  return { model_id: modelId, alias, version_number: versionNumber, set_at: new Date(setAtMs).toISOString() };
}

/** Base64 to hexadecimal. */
export function hexOf(base64: string): string {
  return Buffer.from(base64, "base64").toString("hex");
}

const NANOS = 1_000_000_000n;
export const LAST_NANOS = 2n ** 64n - 1n;

/** Nanoseconds since 1970 as `2026-01-31T08:00:00.123456789Z`. Every value of 64 bits has one. */
export function nanosToIso(nanos: bigint): string {
  const whole = new Date(Number((nanos / NANOS) * 1_000n)).toISOString().slice(0, 19);
  return `${whole}.${String(nanos % NANOS).padStart(9, "0")}Z`;
}

const ISO_NANOS = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$/;

/** The other way round, with any zone and up to nine decimals. @throws INVALID_PARAMETER */
export function isoToNanos(text: string): bigint {
  const [, whole, fraction = "", zone] = ISO_NANOS.exec(text) ?? [];
  const epochMs = whole === undefined ? Number.NaN : Date.parse(`${whole}${zone}`);
  const nanos = Number.isNaN(epochMs) ? -1n : BigInt(epochMs) * 1_000_000n + BigInt(fraction.padEnd(9, "0"));
  if (nanos < 0n || nanos > LAST_NANOS) {
    throw new SluiceError("INVALID_PARAMETER", "created_at is not a time from 1970 to 2554", {
      hint: "Write it as 2026-01-31T08:00:00.123456789Z.",
    });
  }
  return nanos;
}
