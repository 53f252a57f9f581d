/**
 * A process is killed at every durable step of a registry's life. The next start has each version whole or not at all, everything that
 * was acknowledged, no file that nothing names, and no number twice.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import t, { type Test } from "tap";
import { REGISTRY_FAILPOINTS } from "../../../core/runtime/failpoint-list.js";
import { makeFolder } from "../../helpers/folder.js";
import { filesIn, openRig, push, type Rig } from "./local-rig.js";
import { perform, ReferenceModel, shown } from "./reference-model.js";
import { STEPS } from "./steps.js";

const PROGRAM = fileURLToPath(new URL("./walk-and-die.js", import.meta.url));

/** Each place at its first pass, some at a later one; and commits of each kind, durable before anybody hears of them. */
const COMMITS = [1, 2, 3, 4, 6, 9, 12, 15];
const SPECS = [
  ...REGISTRY_FAILPOINTS.map((place) => `${place}=kill`),
  "archive.after_rename=kill@3",
  "archive.before_sync=kill@3",
  "registry.upload.before_commit=kill@2",
  "registry.upload.before_commit=kill@3",
  "registry.removal.after_unlink=kill@2",
  ...COMMITS.map((commit) => `writer.after_commit=kill@${commit}`),
];

t.jobs = 2;
for (const spec of SPECS) {
  t.test(`killed at ${spec}`, async (t) => {
    const dataDir = makeFolder(t);
    const child = spawn(process.execPath, [PROGRAM, dataDir, spec], { stdio: ["ignore", "pipe", "inherit"] });
    const said: string[] = [];
    createInterface({ input: child.stdout }).on("line", (line) => said.push(line));
    const [, signal] = await once(child, "close");
    t.equal(signal, "SIGKILL", "it was reached");
    await checkAfterCrash(t, dataDir, said);
  });
}

async function checkAfterCrash(t: Test, dataDir: string, said: readonly string[]): Promise<void> {
  const rig = await openRig(t, { dataDir });
  const before = after(said.length);
  const possible = [before, after(said.length + 1)];
  const there = await shown(rig.registry);
  const found = possible.find((model) => JSON.stringify(visible(model)) === JSON.stringify(there));
  if (found === undefined) t.same(there, visible(before), `after ${said.length} steps`);
  const uploadId = said.findLast((line) => line !== "") ?? "";
  checkFiles(t, rig, uploadId);
  await checkNumbers(t, rig, possible);
  await goOn(t, rig, said.length);
}

function after(steps: number): ReferenceModel {
  const model = new ReferenceModel();
  for (const step of STEPS.slice(0, steps)) model.apply(step);
  return model;
}

/** Without what {@link shown} cannot see, in its order. */
function visible({ models }: ReferenceModel) {
  const shownModels = Object.entries(models).map(([id, { next, ...rest }]) => [id, rest]);
  return Object.fromEntries(shownModels.sort()) as Awaited<ReturnType<typeof shown>>;
}

/** Each version has its file, an upload that can go on has one, and there is no other. */
function checkFiles(t: Test, { registry, uploads, archiveDir }: Rig, uploadId: string): void {
  let archived = 0;
  for (const { modelId } of registry.models({ skip: 0, limit: 0 })) {
    archived += registry.versions(modelId, { from: 0, limit: 0 }).length;
  }
  const files = filesIn(archiveDir);
  t.equal(files.filter((file) => !file.startsWith("incoming/")).length, archived, `files: ${files}`);
  const incoming = files.filter((file) => file.startsWith("incoming/")).length;
  t.ok(incoming <= 1, "at most the one upload in pieces is under way");
  if (incoming === 0 || uploadId === "") return;
  t.ok(uploads.state(uploadId).offsetBytes <= 6);
}

async function checkNumbers(t: Test, { registry }: Rig, possible: readonly ReferenceModel[]): Promise<void> {
  for (const { modelId } of registry.models({ skip: 0, limit: 0 })) {
    const { versionNumber } = await push(registry, modelId, "next");
    const allowed = possible.map(({ models }) => models[modelId]?.next);
    t.ok(allowed.includes(versionNumber), `${modelId}: ${versionNumber} of ${allowed}`);
    await registry.deleteVersion(modelId, versionNumber, { force: false });
  }
}

/** Nothing of the crash is in the way of what comes. */
async function goOn(t: Test, rig: Rig, steps: number): Promise<void> {
  await perform(rig, new Map(), { do: "put", model: "new", value: String(steps) });
  await perform(rig, new Map(), { do: "push", model: "new", data: "data", archived: true });
  t.equal(rig.registry.latest("new")?.versionNumber, 1);
}
