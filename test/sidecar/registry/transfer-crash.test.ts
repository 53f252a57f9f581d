/**
 * A process is killed at every durable step of an import and an export. What is there then is whole, nothing lies about, and running
 * again does the rest.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import t, { type Test } from "tap";
import { readVersionInfo } from "../../../sidecar/registry/cogment-info.js";
import { Transfers } from "../../../sidecar/registry/transfers.js";
import { makeFolder } from "../../helpers/folder.js";
import { allOf, contentsOf, FOREVER, hashOf, modelFiles, readTree, type Stored, writeFiles } from "./archive-rig.js";
import { filesIn, openRig, startRig } from "./local-rig.js";

const PROGRAM = fileURLToPath(new URL("./transfer-and-die.js", import.meta.url));
const FILES = {
  ...modelFiles("foo", { 1: Buffer.from("one"), 2: Buffer.alloc(2_500_000, "weights"), 5: Buffer.from("") }),
  ...modelFiles("resnet-v2", { 1: Buffer.from("one") }),
};

async function killed(t: Test, kind: "import" | "export", dir: string, dataDir: string, spec: string): Promise<void> {
  const child = spawn(process.execPath, [PROGRAM, kind, dir, dataDir, spec], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  const [, signal] = await once(child, "close");
  t.equal(signal, "SIGKILL", "it was reached");
}

async function everything(t: Test): Promise<{ dir: string; wanted: Record<string, Stored> }> {
  const dir = join(makeFolder(t), "cogment");
  mkdirSync(dir);
  writeFiles(dir, FILES);
  const rig = await startRig(makeFolder(t));
  await allOf(new Transfers(rig).import({ dir, replaceUserData: false }, FOREVER));
  const wanted = await contentsOf(rig.registry);
  await rig.close();
  return { dir, wanted };
}

const IMPORT_SPECS = [
  "import.before_model=kill@2",
  "import.after_model=kill@1",
  "import.before_version=kill@1",
  "import.after_version=kill@2",
  "registry.import.before_commit=kill@2",
  "registry.version.after_keep=kill@2",
  "registry.version.after_commit=kill@2",
  "archive.before_rename=kill@3",
  "writer.after_commit=kill@3",
];

t.jobs = 2;
t.test("an import", async (t) => {
  t.jobs = 2;
  const { dir, wanted } = await everything(t);
  for (const spec of IMPORT_SPECS) {
    void t.test(`killed at ${spec}`, async (t) => {
      const dataDir = makeFolder(t);
      await killed(t, "import", dir, dataDir, spec);
      const rig = await openRig(t, { dataDir });
      const there = await contentsOf(rig.registry);
      let rows = 0;
      for (const [modelId, { userData, versions }] of Object.entries(there)) {
        rows += versions.length;
        t.same(userData, wanted[modelId]?.userData);
        t.same(versions, wanted[modelId]?.versions.slice(0, versions.length), "what is there came first, and is whole");
      }
      t.equal(filesIn(rig.archiveDir).length, rows, "no file lies about");
      const events = await allOf(new Transfers(rig).import({ dir, replaceUserData: false }, FOREVER));
      t.match(events.at(-1), { leftOut: 0, noted: 0, versions: { present: rows, copied: 4 - rows } });
      t.same(await contentsOf(rig.registry), wanted);
    });
  }
});

const EXPORT_SPECS = [
  "export.before_rename=kill@2",
  "export.before_rename=kill@3",
  "export.after_rename=kill@1",
  "export.after_rename=kill@2",
];

t.test("an export", async (t) => {
  const { dir } = await everything(t);
  const dataDir = makeFolder(t);
  const rig = await startRig(dataDir);
  await allOf(new Transfers(rig).import({ dir, replaceUserData: false }, FOREVER));
  await rig.close();
  for (const spec of EXPORT_SPECS) {
    await t.test(`killed at ${spec}`, async (t) => {
      const out = join(makeFolder(t), "out");
      await killed(t, "export", out, dataDir, spec);
      checkPairs(t, out);
      const rig = await openRig(t, { dataDir });
      const again = await allOf(new Transfers(rig).export({ dir: out, modelIds: null, merge: true }, FOREVER));
      t.match(again.at(-1), { leftOut: 0, noted: 0 });
      t.same(readTree(out), readTree(dir), "the archive it came from, byte for byte");
      await rig.close();
    });
  }
});

/** Each info has its data, whole. */
function checkPairs(t: Test, out: string): void {
  const files = readTree(out);
  for (const [path, content] of Object.entries(files)) {
    if (!/-v\d{6}\.yaml$/.test(path)) continue;
    const info = readVersionInfo(Buffer.from(content, "base64").toString());
    t.ok(existsSync(join(out, path)));
    t.equal(hashOf(Buffer.from(files[path.replace(/yaml$/, "data")] ?? "?", "base64")), info.dataHash, path);
  }
}
