import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import t from "tap";
import { openRig } from "../tasks/store-rig.js";

const PROGRAM = fileURLToPath(new URL("./define-many.js", import.meta.url));

/** Where it dies, and what it has said by then; the first version replaces nothing. */
const STEPS = [
  ["on_demand.after_disable=kill", ["version 1", "enabled 1", "deployed 1"]],
  ["on_demand.after_disable=kill@2", ["version 1", "enabled 1", "deployed 1", "version 2"]],
  ["on_demand.before_commit=kill@2", ["version 1", "enabled 1", "deployed 1"]],
  ["deployment.before_commit=kill@2", ["version 1", "enabled 1", "deployed 1", "version 2", "enabled 1"]],
] as const;

for (const [spec, words] of STEPS) {
  t.test(`${spec}: what was said is there, and exactly one version is in force`, async (t) => {
    const dataDir = t.testdir();
    const child = spawn(process.execPath, [PROGRAM, dataDir, spec], { stdio: ["ignore", "pipe", "inherit"] });
    const said: string[] = [];
    createInterface({ input: child.stdout }).on("line", (line) => said.push(line));
    const [, signal] = await once(child, "close");
    t.equal(signal, "SIGKILL");
    t.same(said, words);
    const { models } = await openRig(t, { dataDir });
    t.equal(models.versions("m").length, said.filter((line) => line.startsWith("version")).length);
    const inForce = models.versions("m").filter(({ enabled }) => enabled);
    const last = said.findLast((line) => !line.startsWith("deployed"))!;
    t.same(
      inForce.map(({ id }) => id),
      [Number(last.split(" ")[1])],
    );
    t.equal(models.deployment("m")?.createdAtMs, 1);
  });
}
