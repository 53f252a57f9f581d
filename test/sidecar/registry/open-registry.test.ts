/** Starts: over what a crash left, beside somebody else's archive, without a database. */
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
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
  put(archiveDir, "incoming", "0f0e0d0c-0000-4000-8000-000000000000");
  const kept = ["1-foo/v000001.data", "1-foo/notes.txt", "lost+found/x", "readme.txt", "9-bar/9-bar-v000001.data"];
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
