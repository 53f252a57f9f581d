/** Uploads in pieces as their callers see them: they go on after a cut connection and after a restart. */
import type { VersionInfo } from "../../core/contract/registry.js";
import type { VersionHeader } from "./registry.js";

export interface UploadState {
  readonly id: string;
  readonly header: VersionHeader;
  /** Bytes that are there for good: the next piece begins here. */
  readonly offsetBytes: number;
  readonly expiresAtMs: number;
}

/** The version, when the piece was the last one. */
export type Appended = { readonly state: UploadState } | { readonly version: VersionInfo };

export interface Uploads {
  /** For archived versions alone. @throws REGISTRY_MODEL_UNKNOWN, VERSION_TOO_LARGE, INVALID_PARAMETER, REGISTRY_BUSY, DISK_FULL, STORE_FAILED */
  begin(header: VersionHeader): Promise<UploadState>;
  /** @throws REGISTRY_UPLOAD_UNKNOWN */
  state(id: string): UploadState;
  /**
   * Takes a piece; the one that brings the last byte makes the version. What came before a failure is kept, unless the upload itself is
   * wrong (VERSION_REJECTED, REGISTRY_MODEL_UNKNOWN): then it is over.
   * @param source is asked for chunks only, never ended; a chunk belongs to the upload from then on
   * @throws REGISTRY_UPLOAD_UNKNOWN, REGISTRY_UPLOAD_CONFLICT (another offset, or another piece under way), REGISTRY_BUSY,
   *   VERSION_REJECTED, REGISTRY_MODEL_UNKNOWN, BODY_TIMEOUT, DISK_FULL, STORE_FAILED; whatever the source throws
   */
  append(id: string, offsetBytes: number, source: AsyncIterable<Uint8Array>): Promise<Appended>;
  /** @throws REGISTRY_UPLOAD_UNKNOWN, REGISTRY_UPLOAD_CONFLICT while a piece is under way */
  cancel(id: string): Promise<void>;
}
