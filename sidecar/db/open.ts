/** Opens the one database file. The settings here are what promise 1 rests on. */
import { closeSync, mkdirSync, openSync } from "node:fs";
import { dirname } from "node:path";
import BetterSqlite from "better-sqlite3";
import type { CallPlace } from "../../core/runtime/failpoint-list.js";
import { failpoint, failpointSpec } from "../../core/runtime/failpoints.js";

export type Database = BetterSqlite.Database;
export type Statement<Row = unknown> = BetterSqlite.Statement<unknown[], Row>;

/** How long a statement waits for another process's lock. */
const BUSY_TIMEOUT_MS = 10_000;

/**
 * Opens for writing, making folder and file when missing (both readable by their owner alone: notes are in there).
 * `synchronous=FULL`: a commit has reached the disk when it returns.
 * @param place what its calls pass while failpoints are armed
 */
export function openForWriting(file: string, place: CallPlace = "db.start"): Database {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  closeSync(openSync(file, "a", 0o600));
  const db = new BetterSqlite(file, { timeout: BUSY_TIMEOUT_MS });
  try {
    useWriteAheadLog(db);
    db.pragma("synchronous = FULL");
    db.pragma("foreign_keys = ON");
    db.pragma("cache_size = -65536");
    return countCalls(db, place);
  } catch (caught) {
    db.close();
    throw caught;
  }
}

/** A connection that cannot write: point reads on the main thread. */
export function openForReading(file: string): Database {
  const db = new BetterSqlite(file, { readonly: true, fileMustExist: true, timeout: BUSY_TIMEOUT_MS });
  db.pragma("cache_size = -32768");
  return countCalls(db, "db.read");
}

/** While failpoints are armed each call for the database passes a named place first; else nothing is in its way. */
function countCalls(db: Database, place: CallPlace): Database {
  if (failpointSpec() === null) return db;
  const prepare = db.prepare.bind(db);
  const exec = db.exec.bind(db);
  const count = (statement: Statement): Statement => {
    const { run, get, all } = statement;
    return Object.assign(statement, {
      run: (...values: unknown[]) => passing(place, () => run.apply(statement, values)),
      get: (...values: unknown[]) => passing(place, () => get.apply(statement, values)),
      all: (...values: unknown[]) => passing(place, () => all.apply(statement, values)),
    });
  };
  return Object.assign(db, {
    prepare: (sql: string) => count(prepare(sql)),
    exec: (sql: string) => passing(place, () => exec(sql)),
  });
}

function passing<Value>(place: CallPlace, call: () => Value): Value {
  failpoint(place);
  return call();
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
