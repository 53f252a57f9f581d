import { chmodSync, mkdirSync, renameSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import t, { type Test } from "tap";
import { type RegistryProblem, type VerifyProgress, verifyRegistry } from "../../../sidecar/registry/verify.js";
import { FOREVER } from "./archive-rig.js";
import { openRig, push, type Rig } from "./local-rig.js";

async function rigWith(t: Test, count: number): Promise<Rig> {
  const rig = await openRig(t);
  for (const modelId of ["a", "b-b"]) {
    await rig.registry.putModel({ modelId, userData: {} });
    for (let made = 0; made < count; made++) await push(rig.registry, modelId, `version ${made}`);
  }
  return rig;
}

async function problemsOf(rig: Rig, more: { onProgress?: (progress: VerifyProgress) => void } = {}): Promise<string[]> {
  const problems: RegistryProblem[] = [];
  const options = { databaseFile: join(rig.dataDir, "registry.db"), archiveDir: rig.archiveDir, signal: FOREVER };
  for await (const problem of verifyRegistry({ ...options, rowComesWithinMs: 300, ...more })) problems.push(problem);
  return problems.map(({ modelId, versionNumber, problem }) => `${modelId} ${versionNumber} ${problem}`);
}

t.test("a whole registry has no problems, and is told of to its end", async (t) => {
  const rig = await rigWith(t, 3);
  let last: VerifyProgress | undefined;
  t.same(await problemsOf(rig, { onProgress: (progress) => (last = progress) }), []);
  t.same(last, { versions: 6, totalVersions: 6, dataBytes: 54, totalBytes: 54 });
});

t.test("each kind of damage is named", async (t) => {
  const rig = await rigWith(t, 5);
  const { registry } = rig;
  const files = await Promise.all([1, 2, 3, 4].map((number) => registry.packageFile("a", number)));
  for (const file of files) chmodSync(file, 0o600);
  writeFileSync(files[0]!, "VERSION 0");
  truncateSync(files[1]!, 2);
  writeFileSync(files[2]!, "version 2 and more");
  rmSync(files[3]!);
  const other = await registry.packageFile("b-b", 5);
  rmSync(other);
  mkdirSync(other);
  t.same(await problemsOf(rig), ["a 1 damaged", "a 2 short", "a 3 long", "a 4 missing", "b-b 5 unreadable"]);
});

t.test("files and folders that no row names are told of", async (t) => {
  const rig = await rigWith(t, 1);
  const folder = join(await rig.registry.packageFile("a", 1), "..");
  writeFileSync(join(folder, "v000009.data"), "x");
  writeFileSync(join(folder, "other"), "x");
  mkdirSync(join(rig.archiveDir, "77-gone"));
  writeFileSync(join(rig.archiveDir, "77-gone", "v000001.data"), "x");
  mkdirSync(join(rig.archiveDir, "cogments"));
  writeFileSync(join(rig.archiveDir, "cogments", "cogments.yaml"), "x");
  t.same((await problemsOf(rig)).sort(), ["a 9 no-row", "a null no-row", "null 1 no-row"]);
});

t.test("a file whose row comes a moment later is no problem, and one that goes meanwhile neither", async (t) => {
  const rig = await rigWith(t, 2);
  const file = await rig.registry.packageFile("a", 2);
  const early = join(file, "..", "v000003.data");
  writeFileSync(early, "early");
  const checking = problemsOf(rig);
  rmSync(early);
  t.same(await checking, []);
  const aside = `${rig.dataDir}/aside`;
  renameSync(file, aside);
  t.same(await problemsOf(rig), ["a 2 missing"]);
});

t.test("beside a registry that makes and deletes all the time there are no false alarms", async (t) => {
  const rig = await rigWith(t, 3);
  const { registry } = rig;
  let isDone = false;
  const churn = async () => {
    while (!isDone) {
      const { versionNumber } = await push(registry, "a", "x".repeat(50_000));
      await registry.deleteVersion("a", versionNumber, { force: false });
      await registry.putModel({ modelId: "brief", userData: {} });
      await push(registry, "brief", "y");
      await registry.deleteModel("brief", { force: false });
    }
  };
  const churning = churn();
  for (let round = 0; round < 10; round++) t.same(await problemsOf(rig), []);
  isDone = true;
  await churning;
});
