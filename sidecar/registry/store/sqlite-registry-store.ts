/** The registry's rows in SQLite: reads on this thread, writes through the writer's (`sqlite-registry-writes.ts`). */
import type { Database } from "../../db/open.js";
import type { Writer } from "../../db/writer.js";
import type { NewVersion, RegistryStore, StoredUpload } from "./registry-store.js";
import { createReads } from "./sqlite-registry-reads.js";
import type { UploadColumns, VersionColumns } from "./sqlite-registry-writes.js";

/** The writes, for whoever opens the writer. */
export const REGISTRY_WRITES = [
  new URL("./sqlite-registry-writes.js", import.meta.url),
  new URL("./sqlite-import-writes.js", import.meta.url),
];

/** @param database reads; it and the writer are closed with the store */
export function createSqliteRegistryStore(database: Database, writer: Writer): RegistryStore {
  return {
    ...createReads(database),
    putModel: ({ modelId, userData }) => writer.call("putModel", [modelId, JSON.stringify(userData)]),
    deleteModel: (instance, folder) => writer.call("deleteModel", [instance, folder]),
    insertVersion: (version) => writer.call("insertVersion", [versionColumns(version), version.uploadId]),
    confirmVersion: (instance, number) => writer.call("confirmVersion", [instance, number]),
    importVersion: (version) => writer.call("importVersion", [versionColumns(version)]),
    takeNumber: (instance) => writer.call("takeNumber", [instance]),
    deleteVersion: (version, place, nowMs) => writer.call("deleteVersion", [version, place, nowMs]),
    setAlias: (alias) => writer.call("setAlias", [alias]),
    removeAlias: (alias) => writer.call("removeAlias", [alias]),
    insertUpload: (upload) => writer.call("insertUpload", [uploadColumns(upload)]),
    moveUpload: (id, offsetBytes, expiresAtMs) => writer.call("moveUpload", [id, offsetBytes, expiresAtMs]),
    removeUpload: (id) => writer.call("removeUpload", [id]),
    forgetRemoval: (id) => writer.call("forgetRemoval", [id]),
    skipNumbers: (instance, upTo) => writer.call("skipNumbers", [instance, upTo]),
    skipInstances: (upTo) => writer.call("skipInstances", [upTo]),
    // The last one to close moves all of the log into the file, which a connection that only reads cannot do.
    async close() {
      database.close();
      await writer.close();
    },
  };
}

function versionColumns({ instance, versionNumber, ...content }: NewVersion): VersionColumns {
  return {
    instance,
    number: versionNumber,
    creationTimestamp: String(content.creationTimestamp),
    dataHash: content.dataHash,
    dataBytes: content.dataBytes,
    userData: JSON.stringify(content.userData),
  };
}

function uploadColumns({ header, ...upload }: StoredUpload): UploadColumns {
  const { creationTimestamp } = header;
  const timestamp = creationTimestamp === null ? null : String(creationTimestamp);
  return { ...upload, header: JSON.stringify({ ...header, creationTimestamp: timestamp }) };
}
