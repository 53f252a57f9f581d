/** Brings a registry up: its database's shape, its archive, and what a crash left lying about. */
import { fileURLToPath } from "node:url";
import { SluiceError } from "../../core/contract/errors.js";
import { type Clock, systemClock } from "../../core/runtime/clock.js";
import type { Logger } from "../../core/runtime/logger.js";
import { migrate } from "../db/migrate.js";
import { type Database, openForReading, openForWriting } from "../db/open.js";
import { Writer } from "../db/writer.js";
import { surveyArchive } from "./archive/archive-survey.js";
import { openArchive } from "./archive/file-archive.js";
import { Changes } from "./changes.js";
import type { Importer } from "./importer.js";
import { KeyedLocks } from "./keyed-locks.js";
import { LocalRegistry } from "./local-registry.js";
import type { Registry, RegistrySettings } from "./registry.js";
import type { RegistryParts } from "./registry-parts.js";
import { Removals } from "./removals.js";
import { ResumableUploads } from "./resumable-uploads.js";
import { noteStrangers, sweepArchive } from "./start-up-sweep.js";
import type { RegistryStore } from "./store/registry-store.js";
import { createSqliteRegistryStore, REGISTRY_WRITES } from "./store/sqlite-registry-store.js";
import { TransientInfos } from "./transient/transient-infos.js";
import { openTransients } from "./transient/transient-versions.js";
import { UploadPlaces } from "./upload-places.js";
import type { Uploads } from "./uploads.js";

export const REGISTRY_MIGRATIONS = fileURLToPath(new URL("../db/registry/", import.meta.url));

export interface OpenRegistryOptions {
  /** Made when missing, with its folder. */
  readonly databaseFile: string;
  /** Made when missing. May hold an archive of Cogment's own layout, or anything else: that is left alone. */
  readonly archiveDir: string;
  /** Read at every use: a reload takes effect at once. */
  readonly settings: () => RegistrySettings;
  /** Default: the system's. */
  readonly clock?: Clock;
  readonly logger: Logger;
  /** The database's writer is dead: end the process with a non-zero code. Default: an uncaught error. */
  readonly onDeath?: (error: Error) => void;
}

export interface OpenRegistry {
  readonly registry: Registry;
  /** For versions that have their number already. */
  readonly importer: Importer;
  readonly uploads: Uploads;
  /** What there is, and what has happened since it was opened. Answers at once, whatever there is. */
  readonly totals: () => RegistryTotals;
  /** Ends what is under way; what can go on after a restart is kept. Idempotent. */
  close(): Promise<void>;
}

/**
 * One process at a time per archive.
 * @throws STORE_FAILED when the database is newer than this program, a migration was changed, or it is gone while versions are there;
 *   DISK_FULL
 */
export async function openRegistry(options: OpenRegistryOptions): Promise<OpenRegistry> {
  const { archiveDir, settings, clock = systemClock } = options;
  const log = options.logger.child("sidecar.registry");
  const archive = await openArchive({ dir: archiveDir, logger: log });
  let store: RegistryStore | null = null;
  try {
    await bringUp(options, log);
    store = await openStore(options);
    await noteStrangers({ store, archiveDir, log });
    const transients = await openTransients({ dir: archiveDir, settings, logger: log });
    const parts: RegistryParts = {
      store,
      archive,
      transients,
      infos: new TransientInfos(),
      changes: new Changes(log),
      locks: new KeyedLocks(),
      unsure: new Set(),
      removals: new Removals({ store, archive, log }),
      places: new UploadPlaces(),
      settings,
      clock,
      log,
    };
    await parts.removals.run();
    await sweepArchive(parts);
    return await composed(parts);
  } catch (caught) {
    await store?.close();
    await archive.close();
    throw caught;
  }
}

export interface RegistryTotals {
  readonly models: number;
  readonly archived: VersionTotals;
  readonly transient: VersionTotals;
  /** Under way, those in pieces while a piece comes. */
  readonly uploads: number;
  /** Begun since the opening. */
  readonly downloads: number;
  /** Transient versions evicted since the opening. */
  readonly evictions: number;
}

export interface VersionTotals {
  readonly versions: number;
  readonly bytes: number;
}

/** The database in this program's shape. */
async function bringUp({ databaseFile, archiveDir }: OpenRegistryOptions, log: Logger): Promise<void> {
  const database = openForWriting(databaseFile);
  try {
    if (isBlank(database)) {
      const { versions } = await surveyArchive(archiveDir, () => false);
      if (versions.length > 0) throw databaseGone(databaseFile, archiveDir);
    }
    for (const name of migrate(database, REGISTRY_MIGRATIONS)) {
      log.info({ event: "migrated", migration: name }, "the registry's database migrated");
    }
  } finally {
    database.close();
  }
}

async function openStore({ databaseFile, onDeath }: OpenRegistryOptions): Promise<RegistryStore> {
  const writer = await Writer.open({
    file: databaseFile,
    modules: REGISTRY_WRITES,
    ...(onDeath === undefined ? {} : { onDeath }),
  });
  try {
    return createSqliteRegistryStore(openForReading(databaseFile), writer);
  } catch (caught) {
    await writer.close();
    throw caught;
  }
}

async function composed(parts: RegistryParts): Promise<OpenRegistry> {
  const registry = new LocalRegistry(parts);
  const uploads = new ResumableUploads(parts);
  await uploads.watchExpiry();
  let closing: Promise<void> | undefined;
  const close = async () => {
    await Promise.all([uploads.close(), registry.close()]);
    await parts.store.close();
    await parts.transients.close();
    await parts.archive.close();
  };
  return {
    registry,
    importer: { create: (header) => registry.import(header) },
    uploads,
    totals: () => ({
      ...parts.store.totals(),
      transient: parts.infos.totals,
      uploads: parts.places.taken,
      ...registry.counts,
    }),
    close() {
      closing ??= close();
      return closing;
    },
  };
}

function isBlank(database: Database): boolean {
  return database.prepare("SELECT 1 FROM sqlite_master LIMIT 1").get() === undefined;
}

/** Beside a blank database the next versions would take the names, and the places, of those that are there. */
function databaseGone(databaseFile: string, archiveDir: string): SluiceError {
  return new SluiceError(
    "STORE_FAILED",
    `the registry's database ${databaseFile} is missing or empty, but ${archiveDir} holds versions`,
    { hint: "Restore the database, or move those versions away to start anew." },
  );
}
