import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import t from "tap";
import { makeFolder } from "../../helpers/folder.js";
import { openRig } from "./store-rig.js";

const PROGRAM = fileURLToPath(new URL("./remove-many.js", import.meta.url));

const STEPS = [
  "retention.before_commit=kill@2",
  "writer.before_commit=kill@2",
  "retention.after_commit=kill@1",
  "retention.before_unlink=kill@20",
];
for (const spec of STEPS) {
  t.test(`killed at ${spec}: every task is there whole, or gone with its file`, async (t) => {
    const dataDir = makeFolder(t);
    const child = spawn(process.execPath, [PROGRAM, dataDir, spec], { stdio: ["ignore", "pipe", "inherit"] });
    let said = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      said += text;
    });
    const [, signal] = await once(child, "close");
    t.equal(signal, "SIGKILL");
    t.equal(said, "removing\n", "it died while it removed");

    const { store, blobs, retention } = await openRig(t, { dataDir });
    const { tasks } = store.list({ limit: 1_000 });
    const ended = tasks.filter(({ status }) => status === "succeeded");
    t.equal(retention.totals().tasks, ended.length);
    t.equal(tasks.length, ended.length + 1, "what waits is there");
    const named = new Set<string>();
    for (const { answer } of ended) {
      const body = await blobs.open(answer!.body, { verify: true });
      for await (const _chunk of body);
      if (answer!.body.kind === "blob") named.add(answer!.body.key);
    }
    t.same(new Set(readdirSync(join(dataDir, "results")).map((name) => `results/${name}`)), named);
    t.ok([130, 80, 30].includes(ended.length), `${ended.length} are left: whole batches went`);
  });
}
