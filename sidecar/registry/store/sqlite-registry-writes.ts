/** What the registry writes, run in the writer's thread. Each write is one transaction, whole or not at all. */
import { SluiceError } from "../../../core/contract/errors.js";
import { failpoint } from "../../../core/runtime/failpoints.js";
import type { Database, Statement } from "../../db/open.js";
import type { Write } from "../../db/writer-messages.js";
import type { ArchivePlace } from "../archive/archive.js";
import { MAX_HISTORY } from "../registry.js";
import { type Deleted, MAX_ALIASES, type StoredAlias } from "./registry-store.js";

/** A version as its row has it. */
export interface VersionColumns {
  readonly instance: number;
  readonly number: number;
  readonly creationTimestamp: string;
  readonly dataHash: string;
  readonly dataBytes: number;
  readonly userData: string;
}

export interface UploadColumns {
  readonly id: string;
  readonly instance: number;
  readonly incoming: string;
  readonly header: string;
  readonly offsetBytes: number;
  readonly expiresAtMs: number;
}

export function prepareWrites(db: Database): Record<string, Write> {
  return {
    ...prepareModels(db),
    ...prepareCreation(db),
    ...prepareDeletion(db),
    ...prepareAliases(db),
    ...prepareUploads(db),
  };
}

function prepareModels(db: Database): Record<string, Write> {
  const put = db.prepare(
    "INSERT INTO models (model_id, user_data) VALUES (?, ?) ON CONFLICT (model_id) DO UPDATE SET user_data = excluded.user_data",
  );
  const skipNumbers = db.prepare("UPDATE models SET next_number = max(next_number, ?) WHERE instance = ?");
  const skipKnown = db.prepare("UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = 'models'");
  const skipFirst = db.prepare("INSERT INTO sqlite_sequence (name, seq) VALUES ('models', ?)");
  return {
    putModel(modelId: string, userData: string): void {
      put.run(modelId, userData);
      failpoint("registry.model.before_commit");
    },
    skipNumbers(instance: number, upTo: number): void {
      skipNumbers.run(upTo + 1, instance);
    },
    skipInstances(upTo: number): void {
      if (skipKnown.run(upTo).changes === 0) skipFirst.run(upTo);
    },
  };
}

function prepareCreation(db: Database): Record<string, Write> {
  const take: Statement<{ taken: number }> = db.prepare(
    "UPDATE models SET next_number = next_number + 1 WHERE instance = ? RETURNING next_number - 1 AS taken",
  );
  const insert = db.prepare(
    `INSERT INTO versions (instance, number, creation_timestamp, data_hash, data_bytes, user_data)
     VALUES (@instance, @number, @creationTimestamp, @dataHash, @dataBytes, @userData)`,
  );
  const endUpload = db.prepare("DELETE FROM uploads WHERE id = ?");
  const touch = db.prepare("UPDATE models SET next_number = next_number WHERE instance = ?");
  const exists = db.prepare("SELECT 1 FROM versions WHERE instance = ? AND number = ?");
  return {
    insertVersion(version: VersionColumns, uploadId: string | null): boolean {
      const taken = take.get(version.instance)?.taken;
      if (taken === undefined) return false;
      if (taken !== version.number) {
        throw new SluiceError("STORE_FAILED", `version ${version.number} was to be made, but ${taken} is next`);
      }
      insert.run(version);
      if (uploadId !== null) endUpload.run(uploadId);
      failpoint("registry.version.before_commit");
      return true;
    },
    confirmVersion(instance: number, number: number): boolean {
      touch.run(instance);
      return exists.get(instance, number) !== undefined;
    },
    takeNumber(instance: number): number | null {
      const taken = take.get(instance)?.taken ?? null;
      failpoint("registry.number.before_commit");
      return taken;
    },
  };
}

function prepareDeletion(db: Database): Record<string, Write> {
  const ofVersion: Statement<{ alias: string }> = db.prepare(
    "SELECT alias FROM aliases WHERE instance = ? AND number = ? ORDER BY alias",
  );
  const removeAliases = db.prepare("DELETE FROM aliases WHERE instance = ?");
  const newest: Statement<{ number: number }> = db.prepare(
    "SELECT ifnull(max(number), 0) AS number FROM versions WHERE instance = ?",
  );
  const removeVersion = db.prepare("DELETE FROM versions WHERE instance = ? AND number = ?");
  const removeModel = db.prepare("DELETE FROM models WHERE instance = ?");
  const addRemoval = db.prepare("INSERT INTO removals (folder, file) VALUES (?, ?)");
  const forget = db.prepare("DELETE FROM removals WHERE seq = ?");
  const endAlias = prepareEndAlias(db);
  return {
    deleteVersion(
      { instance, number }: { instance: number; number: number },
      { folder, file }: ArchivePlace,
      nowMs: number,
    ): Deleted | null {
      const aliases = ofVersion.all(instance, number).map(({ alias }) => alias);
      for (const alias of aliases) endAlias({ instance, alias, setAtMs: nowMs });
      if (removeVersion.run(instance, number).changes === 0) return null;
      addRemoval.run(folder, file);
      failpoint("registry.delete_version.before_commit");
      return { aliases, newestLeft: newest.get(instance)!.number };
    },
    // Versions and history go by their foreign keys.
    deleteModel(instance: number, folder: string): boolean {
      removeAliases.run(instance);
      if (removeModel.run(instance).changes === 0) return false;
      addRemoval.run(folder, null);
      failpoint("registry.delete_model.before_commit");
      return true;
    },
    forgetRemoval(id: number): void {
      forget.run(id);
      failpoint("registry.removal.before_commit");
    },
  };
}

function prepareAliases(db: Database): Record<string, Write> {
  const hasVersion = db.prepare("SELECT 1 FROM versions WHERE instance = @instance AND number = @number");
  const count: Statement<{ others: number }> = db.prepare(
    "SELECT count(*) AS others FROM aliases WHERE instance = @instance AND alias <> @alias",
  );
  const put = db.prepare(
    `INSERT INTO aliases (instance, alias, number, set_at_ms) VALUES (@instance, @alias, @number, @setAtMs)
     ON CONFLICT DO UPDATE SET number = excluded.number, set_at_ms = excluded.set_at_ms`,
  );
  const note = prepareHistory(db);
  const endAlias = prepareEndAlias(db);
  return {
    setAlias(alias: StoredAlias): boolean {
      const { instance, number } = alias;
      if (hasVersion.get({ instance, number }) === undefined) return false;
      if (count.get({ instance, alias: alias.alias })!.others >= MAX_ALIASES) {
        throw new SluiceError("INVALID_PARAMETER", `a model has at most ${MAX_ALIASES} aliases`, {
          hint: "Remove one that nobody needs.",
        });
      }
      put.run(alias);
      note(alias);
      failpoint("registry.alias.before_commit");
      return true;
    },
    removeAlias(alias: Omit<StoredAlias, "number">): boolean {
      const ended = endAlias(alias);
      failpoint("registry.alias.before_commit");
      return ended;
    },
  };
}

/** Takes an alias away, and says so in its history. */
function prepareEndAlias(db: Database) {
  const remove = db.prepare("DELETE FROM aliases WHERE instance = ? AND alias = ?");
  const note = prepareHistory(db);
  return (alias: Omit<StoredAlias, "number">): boolean => {
    const ended = remove.run(alias.instance, alias.alias).changes === 1;
    if (ended) note({ ...alias, number: null });
    return ended;
  };
}

function prepareHistory(db: Database) {
  const add = db.prepare(
    "INSERT INTO alias_history (instance, alias, number, set_at_ms) VALUES (@instance, @alias, @number, @setAtMs)",
  );
  const trim = db.prepare(
    `DELETE FROM alias_history WHERE instance = @instance AND alias = @alias AND seq <= (
       SELECT seq FROM alias_history WHERE instance = @instance AND alias = @alias
       ORDER BY seq DESC LIMIT 1 OFFSET ${MAX_HISTORY})`,
  );
  return (alias: Omit<StoredAlias, "number"> & { number: number | null }): void => {
    add.run(alias);
    trim.run({ instance: alias.instance, alias: alias.alias });
  };
}

function prepareUploads(db: Database): Record<string, Write> {
  const insert = db.prepare(
    `INSERT INTO uploads (id, instance, incoming, header, offset_bytes, expires_at_ms)
     VALUES (@id, @instance, @incoming, @header, @offsetBytes, @expiresAtMs)`,
  );
  const move = db.prepare("UPDATE uploads SET offset_bytes = ?, expires_at_ms = ? WHERE id = ?");
  const remove = db.prepare("DELETE FROM uploads WHERE id = ?");
  return {
    insertUpload(upload: UploadColumns): void {
      insert.run(upload);
      failpoint("registry.upload.before_commit");
    },
    moveUpload(id: string, offsetBytes: number, expiresAtMs: number): boolean {
      const moved = move.run(offsetBytes, expiresAtMs, id).changes === 1;
      failpoint("registry.upload.before_commit");
      return moved;
    },
    removeUpload(id: string): void {
      remove.run(id);
      failpoint("registry.upload.before_commit");
    },
  };
}
