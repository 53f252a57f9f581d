/** The registry's reads, on a connection that cannot write: point look-ups and slices of an index. */
import { asSluiceError } from "../../core/contract/errors.js";
import type { Alias, RegistryModel, VersionInfo } from "../../core/contract/registry.js";
import type { Database, Statement } from "../db/open.js";
import type { RegistryReads, Removal, StoredModel, StoredUpload } from "./registry-store.js";
import type { UploadColumns } from "./sqlite-registry-writes.js";

interface ModelRecord {
  readonly instance: number;
  readonly model_id: string;
  readonly user_data: string;
  readonly next_number: number;
}

interface VersionRecord {
  readonly number: number;
  readonly creation_timestamp: string;
  readonly data_hash: string;
  readonly data_bytes: number;
  readonly user_data: string;
}

interface AliasRecord {
  readonly alias: string;
  readonly number: number | null;
  readonly set_at_ms: number;
}

/** SQLite's word for no limit. */
const NO_LIMIT = -1;

export function createReads(db: Database): RegistryReads {
  return named({
    ...modelReads(db),
    ...versionReads(db),
    ...aliasReads(db),
    ...uploadReads(db),
    ...removalReads(db),
    ...totalReads(db),
  });
}

/** What the disk does to a read is told in the contract's words. */
function named(reads: RegistryReads): RegistryReads {
  const wrapped = Object.entries(reads).map(([name, read]: [string, (...args: never[]) => unknown]) => [
    name,
    (...args: never[]) => {
      try {
        return read(...args);
      } catch (caught) {
        throw asSluiceError(caught);
      }
    },
  ]);
  return Object.fromEntries(wrapped) as RegistryReads;
}

function totalReads(db: Database): Pick<RegistryReads, "totals"> {
  const row: Statement<{ models: number; versions: number; bytes: number }> = db.prepare(
    "SELECT models, versions, bytes FROM totals",
  );
  return {
    totals() {
      const { models, ...archived } = row.get()!;
      return { models, archived };
    },
  };
}

function modelReads(db: Database): Pick<RegistryReads, "model" | "modelIdOf" | "models"> {
  const byId: Statement<ModelRecord> = db.prepare("SELECT * FROM models WHERE model_id = ?");
  const byInstance: Statement<{ model_id: string }> = db.prepare("SELECT model_id FROM models WHERE instance = ?");
  // Skips in the index of ids alone: rows can be big.
  const page: Statement<ModelRecord> = db.prepare(
    `SELECT models.* FROM (SELECT instance AS listed, model_id AS id FROM models WHERE model_id > ? ORDER BY model_id LIMIT ? OFFSET ?)
     CROSS JOIN models ON instance = listed ORDER BY id`,
  );
  return {
    model(modelId) {
      const record = byId.get(modelId);
      return record === undefined ? null : storedModel(record);
    },
    modelIdOf: (instance) => byInstance.get(instance)?.model_id ?? null,
    models: ({ skip, limit, after = "" }) => page.all(after, limit === 0 ? NO_LIMIT : limit, skip).map(registryModel),
  };
}

function versionReads(
  db: Database,
): Pick<RegistryReads, "version" | "newest" | "versions" | "hasVersion" | "isNumberOpen"> {
  const byNumber: Statement<VersionRecord> = db.prepare("SELECT * FROM versions WHERE instance = ? AND number = ?");
  const newest: Statement<VersionRecord> = db.prepare(
    "SELECT * FROM versions WHERE instance = ? ORDER BY number DESC LIMIT 1",
  );
  const slice: Statement<VersionRecord> = db.prepare(
    "SELECT * FROM versions WHERE instance = ? AND number >= ? ORDER BY number LIMIT ?",
  );
  const exists = db.prepare("SELECT 1 FROM versions WHERE instance = ? AND number = ?");
  const skipped = db.prepare("SELECT 1 FROM skipped_numbers WHERE instance = ? AND ? BETWEEN first AND last");
  const one = (model: StoredModel, record: VersionRecord | undefined) =>
    record === undefined ? null : versionInfo(model, record);
  return {
    version: (model, number) => one(model, byNumber.get(model.instance, number)),
    newest: (model) => one(model, newest.get(model.instance)),
    versions: (model, { from, limit }) =>
      slice.all(model.instance, from, limit === 0 ? NO_LIMIT : limit).map((record) => versionInfo(model, record)),
    hasVersion: (instance, number) => exists.get(instance, number) !== undefined,
    isNumberOpen: ({ instance, nextNumber }, number) =>
      number >= nextNumber || skipped.get(instance, number) !== undefined,
  };
}

function aliasReads(db: Database): Pick<RegistryReads, "aliases" | "alias" | "aliasHistory"> {
  const all: Statement<AliasRecord> = db.prepare("SELECT * FROM aliases WHERE instance = ? ORDER BY alias");
  const one: Statement<AliasRecord> = db.prepare("SELECT * FROM aliases WHERE instance = ? AND alias = ?");
  const history: Statement<AliasRecord> = db.prepare(
    "SELECT * FROM alias_history WHERE instance = ? AND alias = ? ORDER BY seq DESC LIMIT ?",
  );
  const alias = ({ modelId }: StoredModel, record: AliasRecord): Alias => ({
    modelId,
    alias: record.alias,
    versionNumber: record.number,
    setAtMs: record.set_at_ms,
  });
  return {
    aliases: (model) => all.all(model.instance).map((record) => alias(model, record)),
    alias(model, name) {
      const record = one.get(model.instance, name);
      return record === undefined ? null : alias(model, record);
    },
    aliasHistory: (model, name, limit) =>
      history.all(model.instance, name, limit).map((record) => alias(model, record)),
  };
}

type UploadReads = Pick<
  RegistryReads,
  "upload" | "countUploads" | "hasIncoming" | "expiredUploads" | "nextUploadExpiryMs"
>;

function uploadReads(db: Database): UploadReads {
  const columns = "id, instance, incoming, header, offset_bytes AS offsetBytes, expires_at_ms AS expiresAtMs";
  const byId: Statement<UploadColumns> = db.prepare(`SELECT ${columns} FROM uploads WHERE id = ?`);
  const count: Statement<{ uploads: number }> = db.prepare("SELECT count(*) AS uploads FROM uploads");
  const named = db.prepare("SELECT 1 FROM uploads WHERE incoming = ?");
  const expired: Statement<UploadColumns> = db.prepare(
    `SELECT ${columns} FROM uploads WHERE expires_at_ms <= ? ORDER BY expires_at_ms LIMIT ?`,
  );
  const next: Statement<{ atMs: number | null }> = db.prepare("SELECT min(expires_at_ms) AS atMs FROM uploads");
  return {
    upload(id) {
      const record = byId.get(id);
      return record === undefined ? null : storedUpload(record);
    },
    countUploads: () => count.get()!.uploads,
    hasIncoming: (incoming) => named.get(incoming) !== undefined,
    expiredUploads: (nowMs, limit) => expired.all(nowMs, limit).map(storedUpload),
    nextUploadExpiryMs: () => next.get()!.atMs,
  };
}

function removalReads(db: Database): Pick<RegistryReads, "removals"> {
  const oldest: Statement<Removal> = db.prepare(
    "SELECT seq AS id, folder, file FROM removals WHERE seq > ? ORDER BY seq LIMIT ?",
  );
  return { removals: (afterId, limit) => oldest.all(afterId, limit) };
}

function registryModel({ model_id, user_data }: ModelRecord): RegistryModel {
  return { modelId: model_id, userData: JSON.parse(user_data) as Record<string, string> };
}

function storedModel(record: ModelRecord): StoredModel {
  return { ...registryModel(record), instance: record.instance, nextNumber: record.next_number };
}

function versionInfo({ modelId }: StoredModel, record: VersionRecord): VersionInfo {
  return {
    modelId,
    versionNumber: record.number,
    creationTimestamp: BigInt(record.creation_timestamp),
    archived: true,
    dataHash: record.data_hash,
    dataBytes: record.data_bytes,
    userData: JSON.parse(record.user_data) as Record<string, string>,
  };
}

function storedUpload({ header, ...rest }: UploadColumns): StoredUpload {
  const { creationTimestamp, ...given } = JSON.parse(header) as Omit<StoredUpload["header"], "creationTimestamp"> & {
    creationTimestamp: string | null;
  };
  return {
    ...rest,
    header: { ...given, creationTimestamp: creationTimestamp === null ? null : BigInt(creationTimestamp) },
  };
}
