/** Opens the one database file. The settings here are what promise 1 rests on. */
import { closeSync, mkdirSync, openSync } from "node:fs";
import { dirname } from "node:path";
import BetterSqlite from "better-sqlite3";

export type Database = BetterSqlite.Database;
export type Statement<Row = unknown> = BetterSqlite.Statement<unknown[], Row>;

/** How long a statement waits for another process's lock. */
const BUSY_TIMEOUT_MS = 10_000;

/**
 * Opens for writing, making folder and file when missing (both readable by their owner alone: notes are in there).
 * `synchronous=FULL`: a commit has reached the disk when it returns.
 */
export function openForWriting(file: string): Database {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  closeSync(openSync(file, "a", 0o600));
  const db = new BetterSqlite(file, { timeout: BUSY_TIMEOUT_MS });
  try {
    useWriteAheadLog(db);
    db.pragma("synchronous = FULL");
    db.pragma("foreign_keys = ON");
    db.pragma("cache_size = -65536");
    return db;
  } catch (caught) {
    db.close();
    throw caught;
  }
}

/** A connection that cannot write: point reads on the main thread. */
export function openForReading(file: string): Database {
  const db = new BetterSqlite(file, { readonly: true, fileMustExist: true, timeout: BUSY_TIMEOUT_MS });
  db.pragma("cache_size = -32768");
  return db;
}

/** The switch to WAL takes an exclusive lock and skips the busy handler, so two starters can meet in it: try again for a while. */
function useWriteAheadLog(db: Database): void {
  const giveUpAtMs = Date.now() + BUSY_TIMEOUT_MS;
  for (;;) {
    try {
      db.pragma("journal_mode = WAL");
      return;
    } catch (caught) {
      const busy = String((caught as { code?: unknown }).code).startsWith("SQLITE_BUSY");
      if (!busy || Date.now() > giveUpAtMs) throw caught;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
    }
  }
}
