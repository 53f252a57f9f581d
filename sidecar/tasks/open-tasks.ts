/** Brings a data folder up: shape of the database, its stores, blobs, and what a crash left lying about. */
import { join } from "node:path";
import { asSluiceError, SluiceError } from "../../core/contract/errors.js";
import type { Logger } from "../../core/runtime/logger.js";
import { migrate } from "../db/migrate.js";
import { type Database, openForReading, openForWriting } from "../db/open.js";
import { Writer } from "../db/writer.js";
import type { ModelStore } from "../models/model-store.js";
import { createSqliteModels, MODEL_WRITES } from "../models/sqlite-model-store.js";
import { FileBlobs } from "./file-blobs.js";
import type { QueueBounds } from "./queue-bounds.js";
import { createSqliteAnswers } from "./sqlite-answers.js";
import { createSqliteCallbacks } from "./sqlite-callbacks.js";
import { createSqliteRetention } from "./sqlite-retention.js";
import { SqliteTaskStore } from "./sqlite-store.js";
import type { BlobStore, OrderSettings, TaskStore } from "./store.js";
import type { AnswerIndex, CallbackStore, RetentionStore } from "./upkeep-store.js";

/** They share the writer's commits; their names share one space. */
const WRITES = ["sqlite-writes", "sqlite-retention-writes", "sqlite-callback-writes", "sqlite-cache-writes"];

export interface OpenTasksOptions {
  readonly dataDir: string;
  /** Bounds on what waits, from `scheduler.queue`; read at every insert. */
  readonly bounds: () => QueueBounds;
  /** What orders the waiting, from `scheduler.ageing` and `scheduler.tenants`; read at every insert and claim. */
  readonly order?: () => OrderSettings;
  readonly logger: Logger;
  /** The store's writer is dead: end the process with a non-zero code. Default: an uncaught error. */
  readonly onDeath?: (error: Error) => void;
}

export interface OpenTasks {
  readonly store: TaskStore;
  readonly blobs: BlobStore;
  readonly retention: RetentionStore;
  readonly callbacks: CallbackStore;
  readonly answers: AnswerIndex;
  /** Closed with the task store. */
  readonly models: ModelStore;
}

/**
 * Call before anything is accepted: the sweep takes a blob without a row for a leftover.
 * @throws STORE_FAILED when the database is newer than this program, a migration was changed, or it is gone while bodies are there
 */
export async function openTasks(options: OpenTasksOptions): Promise<OpenTasks> {
  const log = options.logger.child("sidecar.tasks");
  const file = join(options.dataDir, "sluice.db");
  const blobs = await FileBlobs.open(options.dataDir);
  const database = openForWriting(file);
  try {
    if (isBlank(database) && !(await blobs.isEmpty())) throw databaseGone(file);
    for (const name of migrate(database)) log.info({ event: "migrated", migration: name }, "database migrated");
  } finally {
    database.close();
  }
  const writer = await Writer.open({
    file,
    modules: [...WRITES.map((name) => new URL(`./${name}.js`, import.meta.url)), MODEL_WRITES],
    ...(options.onDeath === undefined ? {} : { onDeath: options.onDeath }),
  });
  const reading = openForReading(file);
  const store = new SqliteTaskStore({
    database: reading,
    writer,
    bounds: options.bounds,
    ...(options.order === undefined ? {} : { order: options.order }),
    onListenerFault: (cause) =>
      log.error({ event: "listener_failed", err: cause }, "a change could not be told to all"),
    // A file that cannot be removed now is removed by the next start's sweep.
    releaseBlob: (key) =>
      void blobs.remove(key).catch((caught: unknown) => {
        log.warn({ event: "blob_not_removed", err: asSluiceError(caught) }, "a blob nobody needs could not be removed");
      }),
  });
  try {
    const swept = await blobs.sweep((key) => store.namesBlob(key));
    if (swept > 0) log.info({ event: "blobs_swept", count: swept }, "removed files that a crash had left");
    return {
      store,
      blobs,
      retention: createSqliteRetention(reading, writer),
      callbacks: createSqliteCallbacks(reading, writer),
      answers: createSqliteAnswers(reading, writer, store),
      models: createSqliteModels(reading, writer),
    };
  } catch (caught) {
    await store.close();
    throw caught;
  }
}

function isBlank(database: Database): boolean {
  return database.prepare("SELECT 1 FROM sqlite_master LIMIT 1").get() === undefined;
}

/** Beside a blank database every stored body is one that no row names: the sweep would take them all. */
function databaseGone(file: string): SluiceError {
  return new SluiceError("STORE_FAILED", `the database ${file} is missing or empty, but stored bodies lie beside it`, {
    hint: "Restore the database, or move the folders payloads and results away to start anew.",
  });
}
