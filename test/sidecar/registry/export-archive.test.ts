import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import t, { type Test } from "tap";
import { exportArchive } from "../../../sidecar/registry/export-archive.js";
import { importArchive } from "../../../sidecar/registry/import-archive.js";
import { makeFolder } from "../../helpers/folder.js";
import { Random } from "../../simulation/random.js";
import { allOf, contentsOf, FOREVER, modelFiles, readTree, remarks, writeFiles } from "./archive-rig.js";
import { openRig, push, type Rig } from "./local-rig.js";
import { oddText } from "./odd-texts.js";

const exported = (rig: Rig, dir: string, more: { modelIds?: readonly string[]; merge?: boolean } = {}) =>
  allOf(exportArchive({ dir, modelIds: more.modelIds ?? null, merge: more.merge === true }, rig.registry, FOREVER));
const imported = (rig: Rig, dir: string) => allOf(importArchive({ dir, replaceUserData: false }, rig, FOREVER));

async function rigWith(t: Test, versions: Readonly<Record<string, readonly string[]>>): Promise<Rig> {
  const rig = await openRig(t);
  for (const [modelId, data] of Object.entries(versions)) {
    await rig.registry.putModel({ modelId, userData: { of: modelId } });
    for (const each of data) await push(rig.registry, modelId, each);
  }
  return rig;
}

t.test("an archive of Cogment's that came in goes out byte for byte", async (t) => {
  const dir = join(makeFolder(t), "cogment");
  mkdirSync(dir);
  writeFiles(dir, {
    ...modelFiles("resnet-v2", { 1: Buffer.from("one"), 7: Buffer.alloc(3_000_000, "x"), 1000000: Buffer.from("") }),
    ...modelFiles("123", { 1: Buffer.from("two") }),
    ...modelFiles("empty", {}),
  });
  const rig = await openRig(t);
  t.match((await imported(rig, dir)).at(-1), { leftOut: 0, noted: 0 });
  const out = join(makeFolder(t), "deep", "out");
  const events = await exported(rig, out);
  t.match(events[0], { event: "scanned", models: 3, versions: 4, dataBytes: 3_000_006 });
  t.match(events.at(-1), {
    models: { copied: 3 },
    versions: { copied: 4 },
    dataBytes: 3_000_006,
    leftOut: 0,
    noted: 0,
  });
  t.same(readTree(out), readTree(dir));
});

/** Ids, user data, moments and bytes of every kind. */
async function fillAtRandom(rig: Rig, random: Random): Promise<void> {
  const pairs = () =>
    Object.fromEntries(Array.from({ length: random.whole(0, 4) }, () => [oddText(random), oddText(random)]));
  const ids = [
    "a",
    "resnet-v2",
    "123",
    "é",
    "with space",
    "~",
    "true",
    "it's: so",
    "x".repeat(200),
    "lost+found",
    "2020-01-01",
    ".dot",
  ];
  for (const modelId of ids.filter(() => random.chance(0.5))) {
    await rig.registry.putModel({ modelId, userData: pairs() });
    for (let made = random.whole(0, 4); made > 0; made--) {
      const data = random.chance(0.2) ? "" : oddText(random).repeat(random.whole(1, 50));
      const creationTimestamp = (BigInt(random.whole(0, 0xffff_ffff)) << 32n) | BigInt(random.whole(0, 0xffff_ffff));
      await push(rig.registry, modelId, data, { creationTimestamp, userData: pairs() });
    }
    const newest = rig.registry.latest(modelId);
    if (newest !== null && random.chance(0.3)) {
      await rig.registry.deleteVersion(modelId, random.whole(1, newest.versionNumber), { force: false });
    }
  }
}

t.test("what went out comes in again as it was", async (t) => {
  for (let seed = 1; seed <= 4; seed++) {
    const from = await openRig(t);
    await fillAtRandom(from, new Random(seed));
    const out = join(makeFolder(t), "out");
    t.match((await exported(from, out)).at(-1), { leftOut: 0, noted: 0 });
    const to = await openRig(t);
    t.match((await imported(to, out)).at(-1), { leftOut: 0, noted: 0 });
    t.same(await contentsOf(to.registry), await contentsOf(from.registry), `seed ${seed}`);
    await Promise.all([from.close(), to.close()]);
  }
});

t.test("some models alone, transient versions left out and said", async (t) => {
  const rig = await rigWith(t, { a: ["one"], b: ["two"], c: [] });
  await push(rig.registry, "a", "gone soon", { archived: false });
  const out = join(makeFolder(t), "out");
  const events = await exported(rig, out, { modelIds: ["a", "c", "a"] });
  t.same(remarks(events, "noted"), ["a 2 transient"]);
  t.same(Object.keys(readTree(out)), ["a/a-v000001.data", "a/a-v000001.yaml", "a/a.yaml", "c/c.yaml"]);
  await t.rejects(exported(rig, join(makeFolder(t), "out"), { modelIds: ["none"] }), {
    code: "REGISTRY_MODEL_UNKNOWN",
  });
});

t.test("a folder that holds something is refused; with merge, what it holds stays", async (t) => {
  const rig = await rigWith(t, { a: ["one", "two", "three"] });
  const out = join(makeFolder(t), "out");
  await exported(rig, out);
  await t.rejects(exported(rig, out), { code: "INVALID_PARAMETER", message: /not empty/ });
  await push(rig.registry, "a", "four");
  writeFiles(out, modelFiles("a", { 2: Buffer.from("other") }));
  writeFileSync(join(out, "a/a-v000003.data"), "cut");
  const before = readTree(out);
  const events = await exported(rig, out, { merge: true });
  t.same(remarks(events, "left-out"), ["a 2 conflict", "a 3 conflict"]);
  t.same(remarks(events, "noted"), ["a user_data_kept"]);
  t.match(events.at(-1), { versions: { copied: 1, present: 1 } });
  const after = readTree(out);
  for (const [path, content] of Object.entries(before)) t.equal(after[path], content, path);
  t.ok("a/a-v000004.data" in after);
});

t.test("an id too long for a file's name, and a damaged version, are told and keep nothing else out", async (t) => {
  const long = "x".repeat(250);
  const rig = await rigWith(t, { [long]: ["one"], a: ["good", "bad", "good"] });
  const file = await rig.registry.packageFile("a", 2);
  chmodSync(file, 0o600);
  writeFileSync(file, "BAD");
  const out = join(makeFolder(t), "out");
  const events = await exported(rig, out);
  t.same(remarks(events, "left-out"), ["a 2 hash_differs", `${long} odd_name`]);
  t.same(
    Object.keys(readTree(out)).filter((name) => name.endsWith(".data")),
    ["a/a-v000001.data", "a/a-v000003.data"],
  );
});

t.test("a folder that cannot be written is told in words", async (t) => {
  const rig = await rigWith(t, { a: ["one"] });
  const file = join(makeFolder(t), "file");
  writeFileSync(file, "");
  await t.rejects(exported(rig, join(file, "out")), { code: "STORE_FAILED", message: /cannot be written: ENOTDIR/ });
});
