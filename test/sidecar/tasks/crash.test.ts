import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import t, { type Test } from "tap";
import { makeFolder } from "../../helpers/folder.js";
import { openRig } from "./store-rig.js";

const PROGRAM = fileURLToPath(new URL("./submit-many.js", import.meta.url));
/** Every other body is a file. */
const TASKS = 1_000;

/** Runs until it is dead; what it has acknowledged stands on its stdout. */
async function acknowledgedBefore(
  t: Test,
  child: ChildProcess,
  onCount: (count: number) => void,
): Promise<Set<string>> {
  const acknowledged = new Set<string>();
  createInterface({ input: child.stdout! }).on("line", (line) => {
    acknowledged.add(line);
    onCount(acknowledged.size);
  });
  const [code, signal] = await once(child, "close");
  t.equal(code, null, "it was killed");
  t.equal(signal, "SIGKILL");
  return acknowledged;
}

async function checkAfterCrash(t: Test, dataDir: string, acknowledged: Set<string>) {
  const { store, blobs } = await openRig(t, { dataDir });
  const stored = new Set<string>();
  for (let after = "99999999"; after !== ""; ) {
    const page = store.list({ limit: 1_000, after });
    for (const { uuid } of page.tasks) stored.add(uuid);
    after = page.next ?? "";
  }
  const missing = [...acknowledged].filter((uuid) => !stored.has(uuid));
  t.same(missing, [], `${acknowledged.size} were acknowledged, ${stored.size} are stored`);
  t.equal(store.countWaiting().tasks, stored.size, "the counters agree with the rows");
  const named = new Set<string>();
  for (
    let claim = await store.claim("gazetteer", ["batch"], 0);
    claim;
    claim = await store.claim("gazetteer", ["batch"], 0)
  ) {
    const body = await blobs.open(claim.payload, { verify: true });
    for await (const _chunk of body);
    if (claim.payload.kind === "blob") named.add(claim.payload.key);
  }
  const files = readdirSync(join(dataDir, "payloads")).map((name) => `payloads/${name}`);
  t.same(new Set(files), named, "each file belongs to a row, each row has its file");
}

t.test(
  "killed in the middle of 1,000 submissions: what was acknowledged is there, whole, and nothing else lies about",
  async (t) => {
    const dataDir = makeFolder(t);
    const child = spawn(process.execPath, [PROGRAM, dataDir, String(TASKS)], { stdio: ["ignore", "pipe", "inherit"] });
    const acknowledged = await acknowledgedBefore(t, child, (count) => {
      if (count === 300) child.kill("SIGKILL");
    });
    t.ok(acknowledged.size >= 300 && acknowledged.size < TASKS, `${acknowledged.size} of ${TASKS} acknowledged`);
    await checkAfterCrash(t, dataDir, acknowledged);
  },
);

const STEPS = [
  "blob.before_sync=kill@40",
  "blob.before_rename=kill@40",
  "blob.after_rename=kill@40",
  "blob.after_sync=kill@40",
  "insert.before_commit=kill@90",
  "writer.before_commit=kill@3",
  "writer.before_answer=kill@3",
];
for (const spec of STEPS) {
  t.test(`killed at ${spec}: nothing acknowledged is lost`, async (t) => {
    const dataDir = makeFolder(t);
    const child = spawn(process.execPath, [PROGRAM, dataDir, "200", spec], { stdio: ["ignore", "pipe", "inherit"] });
    const acknowledged = await acknowledgedBefore(t, child, () => {});
    await checkAfterCrash(t, dataDir, acknowledged);
  });
}
