import { existsSync, mkdirSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import t, { type Test } from "tap";
import { importArchive } from "../../../sidecar/registry/import-archive.js";
import type { OpenRegistry } from "../../../sidecar/registry/open-registry.js";
import { makeFolder } from "../../helpers/folder.js";
import {
  allOf,
  contentsOf,
  type Files,
  FOREVER,
  hashOf,
  infoText,
  modelFiles,
  readVersion,
  remarks,
  writeFiles,
} from "./archive-rig.js";
import { openRig, push, type RigOptions } from "./local-rig.js";

const ONE = Buffer.from("one");
const TWO = Buffer.from("two, longer");
const EMPTY = Buffer.alloc(0);

interface Setup {
  readonly dir: string;
  readonly open: OpenRegistry;
  run(options?: { replaceUserData?: boolean }): Promise<Awaited<ReturnType<typeof allOf>>>;
}

async function setUp(t: Test, files: Files, options: RigOptions = {}): Promise<Setup> {
  const dir = join(makeFolder(t), "cogment");
  mkdirSync(dir);
  writeFiles(dir, files);
  const open = await openRig(t, options);
  return {
    dir,
    open,
    run: ({ replaceUserData = false } = {}) => allOf(importArchive({ dir, replaceUserData }, open, FOREVER)),
  };
}

t.test("models come in with their user data, versions with number, moment, hash, user data and bytes", async (t) => {
  const { open, run } = await setUp(t, {
    ...modelFiles("foo", { 1: ONE, 4: TWO }),
    ...modelFiles("bar", { 1: EMPTY }),
  });
  const events = await run();
  t.same(events[0], { event: "scanned", models: 2, versions: 3, dataBytes: 14 });
  t.same(events.at(-1), {
    ...{ event: "end", models: { copied: 2, present: 0 }, versions: { copied: 3, present: 0 } },
    ...{ dataBytes: 14, leftOut: 0, noted: 0 },
  });
  const { registry } = open;
  t.same(registry.model("foo")?.userData, { team: "ward" });
  t.same(registry.version("foo", 4), {
    ...{ modelId: "foo", versionNumber: 4, creationTimestamp: 1_633_119_005_000_000_004n, archived: true },
    ...{ dataHash: hashOf(TWO), dataBytes: TWO.byteLength, userData: { number: "4" } },
  });
  t.same(await readVersion(registry, "foo", 4), TWO);
  t.same(await readVersion(registry, "bar", 1), EMPTY);
  t.equal(registry.version("foo", -1).versionNumber, 4, "the newest is the newest one's number");
  t.equal((await push(registry, "foo", ONE)).versionNumber, 5, "new ones go on after it");
});

t.test("ids that mislead Cogment itself, and numbers of seven digits, come in by their own names", async (t) => {
  const files = {
    ...modelFiles("resnet-v2", { 1: ONE, 999999: ONE, 1000000: TWO }),
    ...modelFiles("123", { 1: ONE }),
    ...modelFiles("é", { 2: TWO }),
  };
  const { open, run } = await setUp(t, files);
  const events = await run();
  t.same(remarks(events, "left-out"), []);
  const numbers = open.registry.versions("resnet-v2", { from: 1, limit: 0 }).map((info) => info.versionNumber);
  t.same(numbers, [1, 999_999, 1_000_000], "ascending by number");
  t.equal((await push(open.registry, "resnet-v2", ONE)).versionNumber, 1_000_001);
  t.same(Object.keys(await contentsOf(open.registry)), ["123", "resnet-v2", "é"]);
});

t.test("a second run changes nothing and says so", async (t) => {
  const { open, run } = await setUp(t, modelFiles("foo", { 1: ONE, 2: TWO }));
  await run();
  const before = await contentsOf(open.registry);
  const events = await run();
  t.match(events.at(-1), {
    models: { copied: 0, present: 1 },
    versions: { copied: 0, present: 2 },
    dataBytes: 0,
    leftOut: 0,
  });
  t.same(await contentsOf(open.registry), before);
});

t.test("what is wrong with one is told and keeps nothing else out", async (t) => {
  const whole = modelFiles("foo", { 1: ONE, 2: ONE, 3: ONE, 4: ONE, 5: ONE, 6: ONE, 7: ONE, 8: ONE, 9: ONE, 10: TWO });
  const { dir, open, run } = await setUp(t, {
    ...whole,
    "foo/foo-v000002.yaml": infoText("foo", 2, TWO),
    "foo/foo-v000003.yaml": `${infoText("foo", 3, TWO).replace(/data_size.*/, "data_size: 3")}`,
    "foo/foo-v000004.yaml": infoText("foo", 5, ONE),
    "foo/foo-v000005.yaml": infoText("bar", 5, ONE),
    "foo/foo-v000006.yaml": "version_number: [\n",
    "foo/foo-v000007.yaml": infoText("foo", 7, ONE).replace(/data_hash.*\n/, ""),
    "foo/foo-v000008.yaml": `transient: true\n${infoText("foo", 8, ONE)}`,
    "foo/foo-v11.data": ONE,
    "foo/foo-v000012.data": ONE,
    "foo/foo-v000013.yaml": infoText("foo", 13, ONE),
    "foo/README": "what this is",
    "lonely-v000001.yaml": infoText("lonely", 1, ONE),
    "notes.txt": "a note",
    "renamed/foo-v000001.yaml": infoText("foo", 1, ONE),
    "other/things.txt": "",
  });
  rmSync(join(dir, "foo/foo-v000009.data"));
  symlinkSync("foo-v000001.data", join(dir, "foo/foo-v000009.data"));
  symlinkSync("foo", join(dir, "alias"));
  mkdirSync(join(dir, "lost+found"));
  mkdirSync(join(dir, "foo/foo-v000014.data"));
  const events = await run();
  t.same(remarks(events, "left-out").sort(), [
    "alias symlink",
    "foo 12 info_missing",
    "foo 13 data_missing",
    "foo 2 size_differs",
    "foo 3 hash_differs",
    "foo 4 info_invalid",
    "foo 5 info_invalid",
    "foo 6 info_invalid",
    "foo 7 info_invalid",
    "foo 8 transient",
    "foo 9 data_missing",
    "foo/foo-v000009.data symlink",
    "foo/foo-v000014.data odd_name",
    "foo/foo-v11.data odd_name",
    "lonely-v000001.yaml odd_name",
    "renamed odd_name",
  ]);
  t.same(remarks(events, "noted").sort(), ["foo/README stray", "lost+found stray", "notes.txt stray", "other stray"]);
  t.same(
    open.registry.versions("foo", { from: 1, limit: 0 }).map((info) => info.versionNumber),
    [1, 10],
  );
  t.same(Object.keys(await contentsOf(open.registry)), ["foo"]);
});

t.test("what was left out comes in later, once it is right: its number was skipped, not used", async (t) => {
  const { dir, open, run } = await setUp(t, modelFiles("foo", { 1: ONE, 2: TWO, 5: ONE }));
  truncateSync(join(dir, "foo/foo-v000002.data"), 4);
  t.same(remarks(await run(), "left-out"), ["foo 2 size_differs"]);
  writeFileSync(join(dir, "foo/foo-v000002.data"), TWO);
  writeFiles(dir, { "foo/foo-v000003.data": ONE, "foo/foo-v000003.yaml": infoText("foo", 3, ONE) });
  const events = await run();
  t.match(events.at(-1), { versions: { copied: 2, present: 2 }, leftOut: 0 });
  t.same(await readVersion(open.registry, "foo", 2), TWO);
  t.equal(open.registry.version("foo", -1).versionNumber, 5, "the newest is still the newest");
  t.equal((await push(open.registry, "foo", ONE)).versionNumber, 6);
});

t.test("a number that is taken stays with its version, and one that was used stays used", async (t) => {
  const { open, run } = await setUp(t, modelFiles("foo", { 1: ONE, 2: ONE, 3: TWO, 4: TWO }));
  const { registry } = open;
  await registry.putModel({ modelId: "foo", userData: {} });
  await push(registry, "foo", TWO);
  await push(registry, "foo", TWO);
  await registry.deleteVersion("foo", 2, { force: false });
  await push(registry, "foo", TWO, { archived: false });
  const events = await run();
  t.same(remarks(events, "left-out"), ["foo 1 conflict", "foo 2 conflict", "foo 3 conflict"]);
  t.same(await readVersion(registry, "foo", 1), TWO, "left alone");
  t.same(await readVersion(registry, "foo", 4), TWO);
});

t.test("a model that is there keeps its user data, unless they are to be replaced", async (t) => {
  const { open, run } = await setUp(t, modelFiles("foo", { 1: ONE }));
  await open.registry.putModel({ modelId: "foo", userData: { mine: "yes" } });
  t.same(remarks(await run(), "noted"), ["foo user_data_kept"]);
  t.same(open.registry.model("foo")?.userData, { mine: "yes" });
  t.same(remarks(await run({ replaceUserData: true }), "noted"), []);
  t.same(open.registry.model("foo")?.userData, { team: "ward" });
});

t.test("a model whose own file is missing or cannot be read comes in without user data", async (t) => {
  const { dir, open, run } = await setUp(t, {
    ...modelFiles("none", { 1: ONE }),
    ...modelFiles("broken", { 1: ONE }),
    "broken/broken.yaml": "user_data: text\n",
  });
  rmSync(join(dir, "none/none.yaml"));
  const events = await run();
  t.same(remarks(events, "left-out"), ["broken info_invalid"]);
  t.same(remarks(events, "noted"), ["none info_missing"]);
  t.match(events.at(-1), { models: { copied: 2 }, versions: { copied: 2 } });
  t.same(open.registry.model("broken")?.userData, {});
});

t.test("ids that cannot be ids here, names that are no text, and what is too large are told", async (t) => {
  const { dir, run } = await setUp(
    t,
    { ...modelFiles("a\\b", { 1: ONE }), ...modelFiles("foo", { 1: TWO }) },
    { settings: { maxVersionBytes: 5 } },
  );
  mkdirSync(Buffer.concat([Buffer.from(`${dir}/x`), Buffer.from([0xff])]));
  const big = `model_id: big\nuser_data:\n  a: ${"x".repeat(300_000)}\n`;
  writeFiles(dir, { ...modelFiles("big", { 1: ONE }), "big/big.yaml": big });
  t.same(
    remarks(await run(), "left-out").sort(),
    ["a\\b odd_name", "big refused", "foo 1 refused", "x� odd_name"].sort(),
  );
});

t.test("a moment that is missing is told of", async (t) => {
  const info = infoText("foo", 1, ONE).replace(/creation_timestamp.*\n/, "");
  const { open, run } = await setUp(t, { ...modelFiles("foo", { 1: ONE }), "foo/foo-v000001.yaml": info });
  t.same(remarks(await run(), "noted"), ["foo 1 timestamp_missing"]);
  t.equal(open.registry.version("foo", 1).creationTimestamp, 0n);
});

t.test("a folder that is not there, or no folder, is refused in words", async (t) => {
  const { dir, open, run } = await setUp(t, {});
  rmSync(dir, { recursive: true });
  await t.rejects(run(), { code: "INVALID_PARAMETER", message: /cannot be read: ENOENT/ });
  writeFileSync(dir, "");
  await t.rejects(run(), { code: "INVALID_PARAMETER", message: /ENOTDIR/ });
  t.same(open.registry.models({ skip: 0, limit: 0 }), []);
});

t.test("an archive in the registry's own folder comes in from there and stays as it is", async (t) => {
  const dataDir = makeFolder(t);
  const dir = join(dataDir, "archive");
  mkdirSync(dir);
  writeFiles(dir, modelFiles("foo", { 1: ONE }));
  const open = await openRig(t, { dataDir });
  for (let round = 0; round < 2; round++) {
    const events = await allOf(importArchive({ dir, replaceUserData: false }, open, FOREVER));
    t.same(remarks(events, "left-out"), []);
  }
  t.ok(existsSync(join(dir, "foo/foo-v000001.data")));
  t.same(await readVersion(open.registry, "foo", 1), ONE);
});

t.test(
  "a run that is stopped in the middle of a version leaves nothing of it, and the next one does the rest",
  async (t) => {
    const big = Buffer.alloc(20 * 1024 * 1024, "weights");
    const { dir, open, run } = await setUp(t, modelFiles("foo", { 1: ONE, 2: big }));
    const stop = new AbortController();
    const stopped = async () => {
      for await (const event of importArchive({ dir, replaceUserData: false }, open, stop.signal)) {
        if (event.event === "progress" && event.dataBytes > 1_000) stop.abort(new Error("Ctrl-C"));
      }
    };
    await t.rejects(stopped(), { message: "Ctrl-C" });
    t.same(
      open.registry.versions("foo", { from: 1, limit: 0 }).map((info) => info.versionNumber),
      [1],
    );
    t.match((await run()).at(-1), { versions: { copied: 1, present: 1 }, leftOut: 0 });
    t.equal(hashOf(await readVersion(open.registry, "foo", 2)), hashOf(big));
  },
);
