/**
 * Brings a database to this program's shape. Migrations are numbered files that only ever get appended; the ledger remembers what ran.
 *
 * - Atomic: each file and its ledger row are one `BEGIN IMMEDIATE` transaction; a crash leaves the one before.
 * - Two starters at once: the second waits for the first one's lock, then finds nothing left to do.
 * - A file that was edited after it ran, or a database newer than this program, stops the start.
 */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { SluiceError } from "../../core/contract/errors.js";
import { failpoint } from "../../core/runtime/failpoints.js";
import type { Database } from "./open.js";

export const MIGRATIONS_FOLDER = fileURLToPath(new URL("./migrations/", import.meta.url));

interface Migration {
  readonly number: number;
  readonly name: string;
  readonly sha256: string;
  readonly sql: string;
}

interface LedgerRow {
  readonly number: number;
  readonly name: string;
  readonly sha256: string;
}

/**
 * @param db opened for writing
 * @returns the names of the migrations that ran now
 * @throws STORE_FAILED when files and ledger disagree; SQLite's own error when a file fails
 */
export function migrate(db: Database, folder: string = MIGRATIONS_FOLDER): string[] {
  const migrations = readMigrations(folder);
  const applied: string[] = [];
  const step = db.transaction((): string | null => {
    const next = planNext(migrations, readLedger(db));
    if (next === null) return null;
    db.exec(next.sql);
    db.prepare("INSERT INTO migrations (number, name, sha256, applied_at) VALUES (?, ?, ?, ?)").run(
      next.number,
      next.name,
      next.sha256,
      new Date().toISOString(),
    );
    failpoint("migrate.before_commit");
    return next.name;
  });
  for (let name = step.immediate(); name !== null; name = step.immediate()) applied.push(name);
  return applied;
}

/** The migration to run now, or null when the database is up to date. Pure. */
function planNext(migrations: readonly Migration[], ledger: readonly LedgerRow[]): Migration | null {
  for (const row of ledger) {
    const file = migrations.find((each) => each.number === row.number);
    if (file === undefined) {
      throw refuse(
        `the database has migration ${row.name}, which this program does not know`,
        "Run the newer program that wrote this data folder, or restore a backup of it.",
      );
    }
    if (file.sha256 !== row.sha256) {
      throw refuse(
        `migration ${row.name} was changed after it ran on this database`,
        "Put the released file back; a change goes into a new migration.",
      );
    }
  }
  return migrations[ledger.length] ?? null;
}

function refuse(message: string, hint: string): SluiceError {
  return new SluiceError("STORE_FAILED", message, { hint });
}

export function readMigrations(folder: string): Migration[] {
  const names = readdirSync(folder).filter((name) => name.endsWith(".sql"));
  return names.sort().map((name, index) => {
    const sql = readFileSync(`${folder}/${name}`, "utf8");
    const number = Number(/^(\d{4})-[a-z0-9-]+\.sql$/.exec(name)?.[1]);
    if (number !== index + 1) throw refuse(`migration ${name} is out of sequence`, `Number ${index + 1} comes next.`);
    if (!/^-- (compatible|breaking)\n/.test(sql)) {
      throw refuse(`migration ${name} does not say what it is`, "Its first line is '-- compatible' or '-- breaking'.");
    }
    return { number, name, sha256: createHash("sha256").update(sql).digest("hex"), sql };
  });
}

function readLedger(db: Database): LedgerRow[] {
  db.exec(`CREATE TABLE IF NOT EXISTS migrations (
    number INTEGER PRIMARY KEY, name TEXT NOT NULL, sha256 TEXT NOT NULL, applied_at TEXT NOT NULL) STRICT`);
  return db.prepare("SELECT number, name, sha256 FROM migrations ORDER BY number").all() as LedgerRow[];
}
