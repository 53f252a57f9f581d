/**
 * Where the registry's rows live: models, archived versions, numbers, aliases, uploads in pieces. The interface names no database.
 *
 * Reads answer at once. Every writing call resolves only when the change is durable, and is one transaction. A model is known by its
 * `instance`, which is never another one's: what began for a model that is gone finds nothing, also where one of the same name is there.
 */
import type { Alias, RegistryModel, VersionInfo } from "../../../core/contract/registry.js";
import type { ArchivePlace } from "../archive/archive.js";
import type { VersionHeader } from "../registry.js";

export interface StoredModel extends RegistryModel {
  readonly instance: number;
  /** Of the next version. */
  readonly nextNumber: number;
}

/** Its number must be the model's next one. */
export interface NewVersion extends Omit<VersionInfo, "archived"> {
  readonly instance: number;
  /** The upload in pieces it was; its row goes with this one's coming. */
  readonly uploadId: string | null;
}

export interface StoredUpload {
  readonly id: string;
  readonly instance: number;
  /** Of its file. */
  readonly incoming: string;
  readonly header: VersionHeader;
  readonly offsetBytes: number;
  readonly expiresAtMs: number;
}

/** Files that no row names any more; a null file: the folder. */
export interface Removal {
  readonly id: number;
  readonly folder: string;
  readonly file: string | null;
}

/** What went with a version. */
export interface Deleted {
  /** Names that meant the version, in byte order. */
  readonly aliases: readonly string[];
  /** Of the model's archived versions that are left; 0: none. */
  readonly newestLeft: number;
}

/** Kept by the database itself. */
export interface StoredTotals {
  readonly models: number;
  readonly archived: { readonly versions: number; readonly bytes: number };
}

export interface RegistryReads {
  totals(): StoredTotals;
  model(modelId: string): StoredModel | null;
  modelIdOf(instance: number): string | null;
  /** In byte order of their ids; those beyond `after`, where it is given. @param limit 0: all */
  models(page: { readonly skip: number; readonly limit: number; readonly after?: string }): RegistryModel[];
  version(model: StoredModel, number: number): VersionInfo | null;
  newest(model: StoredModel): VersionInfo | null;
  /** Ascending from a number on. @param limit 0: all */
  versions(model: StoredModel, page: { readonly from: number; readonly limit: number }): VersionInfo[];
  hasVersion(instance: number, number: number): boolean;
  /** True for a number that no version of the model has or had. */
  isNumberOpen(model: StoredModel, number: number): boolean;
  aliases(model: StoredModel): Alias[];
  alias(model: StoredModel, alias: string): Alias | null;
  /** Newest first. */
  aliasHistory(model: StoredModel, alias: string, limit: number): Alias[];
  upload(id: string): StoredUpload | null;
  countUploads(): number;
  hasIncoming(incoming: string): boolean;
  expiredUploads(nowMs: number, limit: number): StoredUpload[];
  nextUploadExpiryMs(): number | null;
  /** Oldest first, above an id. */
  removals(afterId: number, limit: number): Removal[];
}

export interface RegistryWrites {
  putModel(model: RegistryModel): Promise<void>;
  /** With its versions, aliases and their history. @returns false where it is gone */
  deleteModel(instance: number, folder: string): Promise<boolean>;
  /** @returns false where the model is gone @throws STORE_FAILED where the number is not its next one */
  insertVersion(version: NewVersion): Promise<boolean>;
  /**
   * One that has its number, in place of the next one.
   * @returns false where the model is gone @throws VERSION_NUMBER_USED
   */
  importVersion(version: NewVersion): Promise<boolean>;
  /** Whether it is there, for good: asked by a commit of its own, behind which nothing of a failed one can come to light. */
  confirmVersion(instance: number, number: number): Promise<boolean>;
  /** Uses up the next number of a model. @returns null where it is gone */
  takeNumber(instance: number): Promise<number | null>;
  /** With the aliases that mean it. @returns null where it is gone */
  deleteVersion(
    version: { readonly instance: number; readonly number: number },
    place: ArchivePlace,
    nowMs: number,
  ): Promise<Deleted | null>;
  /** @returns false where model or version are gone @throws INVALID_PARAMETER with {@link MAX_ALIASES} there */
  setAlias(alias: StoredAlias): Promise<boolean>;
  /** @returns false where it is gone */
  removeAlias(alias: Omit<StoredAlias, "number">): Promise<boolean>;
  insertUpload(upload: StoredUpload): Promise<void>;
  /** @returns false where it is gone */
  moveUpload(id: string, offsetBytes: number, expiresAtMs: number): Promise<boolean>;
  removeUpload(id: string): Promise<void>;
  /** The files are gone. */
  forgetRemoval(id: number): Promise<void>;
  /** A model's versions made from now on have a number above this one. */
  skipNumbers(instance: number, upTo: number): Promise<void>;
  /** Models made from now on have an instance above this one. */
  skipInstances(upTo: number): Promise<void>;
}

export interface StoredAlias {
  readonly instance: number;
  readonly alias: string;
  readonly number: number;
  readonly setAtMs: number;
}

export interface RegistryStore extends RegistryReads, RegistryWrites {
  close(): Promise<void>;
}

/** Names one model's versions can have. */
export const MAX_ALIASES = 1_000;
