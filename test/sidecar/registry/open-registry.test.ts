/** Starts: over what a crash left, beside somebody else's archive, without a database. */
import { chmodSync, cpSync, existsSync, mkdirSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { makeFolder } from "../../helpers/folder.js";
import { filesIn, openRig, pull, push, putModel, startRig } from "./local-rig.js";

function put(...path: string[]): void {
  mkdirSync(join(...path, ".."), { recursive: true });
  writeFileSync(join(...path), "x");
}

t.test("leftovers of a crash go, and nothing else does", async (t) => {
  const first = await openRig(t);
  await putModel(first.registry, "foo");
  await push(first.registry, "foo", "1");
  await first.close();
  const { archiveDir, dataDir } = first;
  put(archiveDir, "1-foo", "v000002.data");
  chmodSync(join(archiveDir, "1-foo", "v000002.data"), 0o400);
  put(archiveDir, "incoming", "0f0e0d0c-0000-4000-8000-000000000000.sluice");
  const kept = ["1-foo/v000001.data", "1-foo/notes.txt", "lost+found/x", "readme.txt", "9-bar/9-bar-v000001.data"];
  kept.push("incoming/0f0e0d0c-0000-4000-8000-000000000000");
  for (const file of kept.slice(1)) put(archiveDir, file);
  // Versions of a model that this database does not know.
  put(archiveDir, "7-bar", "v000003.data");
  const { registry } = await openRig(t, { dataDir });
  t.same(filesIn(archiveDir), [...kept, "7-bar/v000003.data"].sort());
  t.equal(await pull(registry, "foo", 1), "1");
  await putModel(registry, "bar");
  await push(registry, "bar", "2");
  t.ok(existsSync(join(archiveDir, "10-bar/v000001.data")), "no model gets a folder that is there");
});

t.test("an archive in Cogment's layout is left alone, whatever its models are called", async (t) => {
  const dataDir = makeFolder(t);
  const archiveDir = join(dataDir, "archive");
  const files: string[] = [];
  for (const id of ["foo", "1-foo", "2-v1", "incoming2", "v000001.data"]) {
    for (const file of [`${id}.yaml`, `${id}-v000001.yaml`, `${id}-v000001.data`]) files.push(`${id}/${file}`);
  }
  for (const file of files) put(archiveDir, file);
  const { registry, close } = await openRig(t, { dataDir });
  t.same(registry.models({ skip: 0, limit: 0 }), []);
  for (const id of ["foo", "v1"]) {
    await putModel(registry, id);
    await push(registry, id, "ours");
  }
  t.equal(filesIn(archiveDir).length, files.length + 2);
  for (const id of ["foo", "v1"]) await registry.deleteModel(id, { force: false });
  await close();
  await openRig(t, { dataDir });
  t.same(filesIn(archiveDir), files.sort());
});

t.test(
  "a database restored from an older backup costs no version that came since, and no number comes twice",
  async (t) => {
    const first = await openRig(t);
    const { dataDir, archiveDir } = first;
    await putModel(first.registry, "foo");
    await push(first.registry, "foo", "1");
    await first.close();
    const file = join(dataDir, "registry.db");
    cpSync(file, join(dataDir, "backup.db"));
    const second = await openRig(t, { dataDir });
    for (const data of ["2", "3"]) await push(second.registry, "foo", data);
    await second.close();
    for (const end of ["-wal", "-shm"]) rmSync(file + end, { force: true });
    cpSync(join(dataDir, "backup.db"), file);
    const { registry } = await openRig(t, { dataDir });
    t.same(filesIn(archiveDir), ["1-foo/v000001.data", "1-foo/v000002.data", "1-foo/v000003.data"]);
    t.equal((await push(registry, "foo", "4")).versionNumber, 4);
    t.equal(await pull(registry, "foo", 4), "4");
  },
);

t.test("nothing replaces a file that is a version by its looks", async (t) => {
  const { registry, archiveDir } = await openRig(t);
  await putModel(registry, "foo");
  await push(registry, "foo", "1");
  const stranger = join(archiveDir, "1-foo/v000002.data");
  writeFileSync(stranger, "of another database");
  await t.rejects(push(registry, "foo", "2"), { code: "STORE_FAILED" });
  t.equal(statSync(stranger).size, 19);
  rmSync(stranger);
  t.equal((await push(registry, "foo", "2")).versionNumber, 2);
});

t.test(
  "a version whose file a crash left looking like a leftover is one, and reading it mends its looks",
  async (t) => {
    const first = await openRig(t);
    const { dataDir, archiveDir } = first;
    await putModel(first.registry, "foo");
    await push(first.registry, "foo", "1");
    await first.close();
    const file = join(archiveDir, "1-foo/v000001.data");
    chmodSync(file, 0o400);
    const { registry } = await openRig(t, { dataDir });
    t.equal(await pull(registry, "foo", 1), "1");
    t.equal(statSync(file).mode & 0o777, 0o444);
  },
);

t.test("a database that is gone stops the start while versions lie there, and nothing is touched", async (t) => {
  const first = await openRig(t);
  await putModel(first.registry, "foo");
  await push(first.registry, "foo", "1");
  await first.close();
  const { dataDir, archiveDir } = first;
  const file = join(dataDir, "registry.db");
  renameSync(file, join(dataDir, "away.db"));
  const gone = {
    code: "STORE_FAILED",
    message: /registry\.db is missing or empty, but .* holds versions/,
    hint: /Restore/,
  };
  await t.rejects(startRig(dataDir), gone);
  await t.rejects(startRig(dataDir), gone, "also when the first try has left an empty one");
  t.same(filesIn(archiveDir), ["1-foo/v000001.data"]);
  for (const end of ["", "-wal", "-shm"]) rmSync(file + end, { force: true });
  renameSync(join(dataDir, "away.db"), file);
  const { registry } = await openRig(t, { dataDir });
  t.equal(await pull(registry, "foo", 1), "1");
});

t.test("a version whose bytes are gone or damaged is listed, and says so when it is read", async (t) => {
  const { registry, archiveDir } = await openRig(t);
  await putModel(registry, "foo");
  await push(registry, "foo", "1");
  await push(registry, "foo", "22");
  rmSync(join(archiveDir, "1-foo/v000001.data"));
  rmSync(join(archiveDir, "1-foo/v000002.data"));
  writeFileSync(join(archiveDir, "1-foo/v000002.data"), "2x");
  t.equal(registry.versions("foo", { from: 0, limit: 0 }).length, 2);
  await t.rejects(pull(registry, "foo", 1), { code: "REGISTRY_VERSION_UNKNOWN" });
  await t.rejects(pull(registry, "foo", 2), { code: "VERSION_DAMAGED" });
  await registry.deleteVersion("foo", 1, { force: false });
});
