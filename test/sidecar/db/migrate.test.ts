import { spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import t from "tap";
import { armFailpoints } from "../../../core/runtime/failpoints.js";
import { MIGRATIONS_FOLDER, migrate, readMigrations } from "../../../sidecar/db/migrate.js";
import { openForReading, openForWriting } from "../../../sidecar/db/open.js";
import { sampleTask } from "../../contract/task-samples.js";
import { makeFolder } from "../../helpers/folder.js";
import { openRig } from "../tasks/store-rig.js";

function copyMigrations(folder: string): void {
  for (const name of readdirSync(MIGRATIONS_FOLDER)) copyFileSync(join(MIGRATIONS_FOLDER, name), join(folder, name));
}

function open(t: { teardown(handler: () => void): void }, file: string) {
  const db = openForWriting(file);
  t.teardown(() => db.close());
  return db;
}

t.test("a new database gets everything once, is durable and private", async (t) => {
  const file = join(makeFolder(t), "deep/er/sluice.db");
  const db = open(t, file);
  t.equal(migrate(db).length, readMigrations(MIGRATIONS_FOLDER).length);
  t.same(migrate(db), []);
  t.equal(db.pragma("journal_mode", { simple: true }), "wal");
  t.equal(db.pragma("synchronous", { simple: true }), 2, "FULL");
  t.equal(db.pragma("foreign_keys", { simple: true }), 1);
  t.equal(statSync(file).mode & 0o777, 0o600);
  const reader = openForReading(file);
  t.teardown(() => reader.close());
  t.throws(() => reader.exec("DELETE FROM tasks"), { code: "SQLITE_READONLY" });
});

t.test("an edited migration and a newer database stop the start with words", async (t) => {
  const folder = makeFolder(t);
  copyMigrations(folder);
  const db = open(t, join(folder, "sluice.db"));
  migrate(db, folder);
  const next = String(readMigrations(folder).length + 1).padStart(4, "0");
  writeFileSync(join(folder, `${next}-add-more.sql`), "-- breaking\nCREATE TABLE more (id INTEGER);\n");
  t.same(migrate(db, folder), [`${next}-add-more.sql`]);
  t.throws(() => migrate(db), { code: "STORE_FAILED", message: /which this program does not know/ });
  writeFileSync(join(folder, `${next}-add-more.sql`), "-- breaking\nCREATE TABLE other (id INTEGER);\n");
  t.throws(() => migrate(db, folder), { code: "STORE_FAILED", message: /was changed after it ran/ });
  writeFileSync(join(folder, `${next}-add-more.sql`), "CREATE TABLE more (id INTEGER);\n");
  t.throws(() => migrate(db, folder), { message: /does not say what it is/ });
  writeFileSync(join(folder, "0009-gap.sql"), "-- compatible\n");
  writeFileSync(join(folder, `${next}-add-more.sql`), "-- breaking\nCREATE TABLE more (id INTEGER);\n");
  t.throws(() => migrate(db, folder), { message: /out of sequence/ });
});

t.test("a migration that fails half-way leaves the database as it was", async (t) => {
  const folder = t.testdir({ "0001-half.sql": "-- compatible\nCREATE TABLE half (id INTEGER);\nCREATE nonsense;\n" });
  const db = open(t, join(folder, "sluice.db"));
  t.throws(() => migrate(db, folder), { code: "SQLITE_ERROR" });
  t.same(db.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").all(), []);
  t.teardown(() => armFailpoints(null));
  armFailpoints("migrate.before_commit=throw:EIO@1");
  t.throws(() => migrate(db), { code: "EIO" });
  t.same(db.prepare("SELECT name FROM sqlite_master WHERE name = 'tasks'").all(), []);
  t.ok(migrate(db).length > 0, "and the next start does it");
});

t.test("processes that start at once all come up, and each migration runs once", async (t) => {
  const file = join(makeFolder(t), "sluice.db");
  const program = fileURLToPath(new URL("./migrate-once.js", import.meta.url));
  const results = await Promise.all(
    Array.from({ length: 4 }, async () => {
      const child = spawn(process.execPath, [program, file], { stdio: ["ignore", "pipe", "inherit"] });
      let output = "";
      child.stdout.on("data", (chunk) => {
        output += chunk;
      });
      const [code] = await once(child, "exit");
      return { code, ran: JSON.parse(output) as string[] };
    }),
  );
  t.same(
    results.map(({ code }) => code),
    [0, 0, 0, 0],
  );
  const known = readMigrations(MIGRATIONS_FOLDER).map(({ name }) => name);
  t.same(results.flatMap(({ ran }) => ran).sort(), known);
});

t.test(
  "what waited before lines and turns were kept goes on in its order, and new tenants share with it",
  async (t) => {
    const dataDir = makeFolder(t);
    const folder = join(dataDir, "first");
    mkdirSync(folder);
    const first = readdirSync(MIGRATIONS_FOLDER).find((name) => name.startsWith("0001"))!;
    copyFileSync(join(MIGRATIONS_FOLDER, first), join(folder, first));
    const db = openForWriting(join(dataDir, "sluice.db"));
    migrate(db, folder);
    const insert = db.prepare(
      `INSERT INTO tasks (uuid, model, task, method, path, headers, class, priority, tenant, mode, source, request_id,
       force_tracking_id, created_at_ms, payload_size, payload_sha256)
     VALUES (?, 'm', 'process', 'POST', '/process', '[]', 'batch', 5, ?, 'task', '', '', 0, 1, 0, '')`,
    );
    db.exec("BEGIN");
    for (let each = 0; each < 600; each++) insert.run(`old-${each}`, "flood");
    db.exec("INSERT INTO inline_payloads SELECT seq, x'' FROM tasks; COMMIT");
    db.close();

    const { store } = await openRig(t, { dataDir });
    t.equal(store.position("old-599"), 599);
    t.match(store.backlog(2), [{ model: "m", class: "batch", priority: 5, due: 600, oldestMs: 1 }]);
    await store.insert(sampleTask({ uuid: "new", model: "m", class: "batch", priority: 5, tenant: "other" }));
    t.equal(store.position("new"), 1);
    const claimed: (string | undefined)[] = [];
    for (let each = 0; each < 3; each++) claimed.push((await store.claim("m", ["batch"], 2))?.task.uuid);
    t.same(claimed, ["old-0", "new", "old-1"]);
  },
);
