/**
 * The model registry as its callers see it: gRPC, HTTP, the command and the models' own parts. Every state of it has this one owner.
 *
 * Reads answer at once, from an index; only bytes are streamed. A version is visible from its commit on, whole, or not at all.
 */
import type { Readable } from "node:stream";
import type { Alias, RegistryModel, VersionInfo, VersionReference } from "../../core/contract/registry.js";

/** What of the configuration it goes by; read at every use. */
export interface RegistrySettings {
  /** Null: any. */
  readonly maxVersionBytes: number | null;
  readonly cacheMaxItems: number;
  readonly cacheMaxBytes: number;
}

export interface VersionHeader {
  readonly modelId: string;
  readonly archived: boolean;
  /** What will come; more or less is refused, the first byte too many at once. */
  readonly dataBytes: number;
  /** Base64 of the SHA-256 that the bytes must have; null: whatever they have. */
  readonly dataHash: string | null;
  /** Null: when the upload is complete. */
  readonly creationTimestamp: bigint | null;
  readonly userData: Readonly<Record<string, string>>;
}

/** A version on its way in. One that is neither committed nor aborted keeps a file and a place: always end it. */
export interface Upload {
  readonly receivedBytes: number;
  /**
   * Resolves when more may come: await it, it is the back-pressure. The chunk belongs to the upload from now on and may be detached.
   * @throws VERSION_REJECTED at the first byte beyond what the header says, DISK_FULL, STORE_FAILED; the upload is aborted then
   */
  write(chunk: Uint8Array): Promise<void>;
  /**
   * Resolves once the version is durable and can be seen.
   * @throws VERSION_REJECTED (size, hash), REGISTRY_MODEL_UNKNOWN when its model went meanwhile, DISK_FULL, STORE_FAILED; no number is used then
   */
  commit(): Promise<VersionInfo>;
  /** Leaves nothing behind. Idempotent. */
  abort(): Promise<void>;
}

export interface VersionData {
  readonly info: VersionInfo;
  /**
   * The bytes asked for, read as they are wanted. Their end comes only when they match the version's hash: else it fails with
   * VERSION_DAMAGED, the last piece withheld. Goes on when the version is deleted meanwhile. Destroy it to end early.
   */
  readonly stream: Readable;
}

/** First and last byte, both inclusive and within the version. */
export interface ByteRange {
  readonly first: number;
  readonly last: number;
}

export interface DataOptions {
  readonly range?: ByteRange;
  /** Size of the pieces; the last one may be shorter. */
  readonly chunkBytes: number;
}

/** Told after each change is durable. Of a model that is deleted nothing but that is told; of evictions nothing. */
export type RegistryChange =
  | { readonly type: "version-created"; readonly info: VersionInfo }
  | { readonly type: "version-deleted"; readonly modelId: string; readonly versionNumber: number }
  | { readonly type: "model-put"; readonly modelId: string }
  | { readonly type: "model-deleted"; readonly modelId: string }
  | { readonly type: "alias-set"; readonly alias: Alias };

/** A deployed model that needs a version: what keeps it from being deleted without force. */
export interface VersionUse {
  readonly modelId: string;
  readonly versionNumber: number;
  /** The deployed model's name. */
  readonly by: string;
}

/** Entries of an alias's history that are kept. */
export const MAX_HISTORY = 1_000;

export interface Registry {
  /** Uploads under way, of those that may be: 0 to 1. */
  readonly load: number;
  /** Makes it, or replaces all its user data. @throws REGISTRY_ID_INVALID, INVALID_PARAMETER, DISK_FULL, STORE_FAILED */
  putModel(model: RegistryModel): Promise<void>;
  /** With all its versions. @throws REGISTRY_MODEL_UNKNOWN, REGISTRY_IN_USE (never with force) */
  deleteModel(modelId: string, options: { readonly force: boolean }): Promise<void>;
  model(modelId: string): RegistryModel | null;
  /** In byte order of their ids; those beyond `after`, where it is given. @param limit 0: all; ask for few at a time, this does not yield */
  models(page: { readonly skip: number; readonly limit: number; readonly after?: string }): RegistryModel[];

  /**
   * @throws REGISTRY_MODEL_UNKNOWN, VERSION_TOO_LARGE, INVALID_PARAMETER, REGISTRY_BUSY
   */
  create(header: VersionHeader): Promise<Upload>;
  /**
   * By number; -k is the newest one's number less k-1, as the wire has it, and 0 never there.
   * @throws REGISTRY_VERSION_UNKNOWN, REGISTRY_MODEL_UNKNOWN
   */
  version(modelId: string, number: number): VersionInfo;
  /** @throws REGISTRY_MODEL_UNKNOWN, REGISTRY_VERSION_UNKNOWN, REGISTRY_ALIAS_UNKNOWN */
  resolve(modelId: string, reference: VersionReference): VersionInfo;
  /** Ascending, from a number on. @param limit 0: all; ask for few at a time, this does not yield @throws REGISTRY_MODEL_UNKNOWN */
  versions(modelId: string, page: { readonly from: number; readonly limit: number }): VersionInfo[];
  /** The newest that exists; null: there is none, or no such model. */
  latest(modelId: string): VersionInfo | null;
  /** @throws REGISTRY_MODEL_UNKNOWN, REGISTRY_VERSION_UNKNOWN (also where its bytes are gone), VERSION_DAMAGED, RANGE_NOT_SATISFIABLE */
  open(modelId: string, number: number, options: DataOptions): Promise<VersionData>;
  /** Its number is never used again. @throws REGISTRY_VERSION_UNKNOWN, REGISTRY_MODEL_UNKNOWN, REGISTRY_IN_USE */
  deleteVersion(modelId: string, number: number, options: { readonly force: boolean }): Promise<void>;

  /** In byte order of their names. @throws REGISTRY_MODEL_UNKNOWN */
  aliases(modelId: string): Alias[];
  /** @throws REGISTRY_ALIAS_INVALID, REGISTRY_MODEL_UNKNOWN, REGISTRY_VERSION_UNKNOWN, VERSION_TRANSIENT, INVALID_PARAMETER (too many) */
  setAlias(modelId: string, alias: string, versionNumber: number): Promise<Alias>;
  /** @throws REGISTRY_ALIAS_UNKNOWN, REGISTRY_MODEL_UNKNOWN */
  removeAlias(modelId: string, alias: string): Promise<void>;
  /** What it meant and since when, newest first, removals included; at most 1,000. @throws REGISTRY_ALIAS_UNKNOWN */
  aliasHistory(modelId: string, alias: string): Alias[];

  /**
   * The file of an archived version, read-only and checked against its hash a short while ago at most.
   * @throws REGISTRY_MODEL_UNKNOWN, REGISTRY_VERSION_UNKNOWN, VERSION_TRANSIENT, VERSION_DAMAGED
   */
  packageFile(modelId: string, number: number): Promise<string>;
  /** Asked before anything is deleted. */
  followUses(uses: () => readonly VersionUse[]): void;
  /** In the order of the commits. The answer unsubscribes. */
  onChange(listener: (change: RegistryChange) => void): () => void;
  /** Ends what is under way; nothing half-made stays. Idempotent. */
  close(): Promise<void>;
}
