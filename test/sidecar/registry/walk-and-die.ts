/** Takes the steps one by one, says each that is done, and dies where it is told to. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { armFailpoints } from "../../../core/runtime/failpoints.js";
import { startRig } from "./local-rig.js";
import { perform } from "./reference-model.js";
import { STEPS } from "./steps.js";

const [dataDir, failpoints] = process.argv.slice(2);
// A leftover, so that there is something to sweep.
mkdirSync(join(dataDir!, "archive", "incoming"), { recursive: true });
writeFileSync(join(dataDir!, "archive", "incoming", "0f0e0d0c-0000-4000-8000-000000000000.sluice"), "left");
armFailpoints(failpoints!);
const rig = await startRig(dataDir!);
const ids = new Map<string, string>();
for (const step of STEPS) {
  await perform(rig, ids, step);
  process.stdout.write(`${ids.get("a") ?? ""}\n`);
}
await rig.close();
