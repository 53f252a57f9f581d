/** The lists of named places are whole, and a process is killed at each. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import t from "tap";
import {
  CALL_PLACES,
  FAILPOINTS,
  MODEL_FAILPOINTS,
  REGISTRY_FAILPOINTS,
  TRANSFER_FAILPOINTS,
  UPKEEP_FAILPOINTS,
} from "../../core/runtime/failpoint-list.js";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const FOLDERS = ["core", "config", "proxy", "sidecar", "cli"];

function* textsIn(folder: string, ending: string): Generator<string> {
  for (const name of readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })) {
    if (name.endsWith(ending)) yield readFileSync(join(root, folder, name), "utf8");
  }
}

t.test("each failpoint in the source is in the list, and each in the list is in the source", async (t) => {
  const inSource = new Set<string>();
  for (const text of FOLDERS.flatMap((folder) => [...textsIn(folder, ".ts")])) {
    for (const [, place] of text.matchAll(/\bfailpoint\("([^"]+)"\)/g)) inSource.add(place!);
  }
  const calls = new Set<string>(CALL_PLACES);
  const steps = [...inSource].filter((place) => !calls.has(place));
  const lists = [FAILPOINTS, UPKEEP_FAILPOINTS, MODEL_FAILPOINTS, REGISTRY_FAILPOINTS, TRANSFER_FAILPOINTS];
  t.same(steps.sort(), lists.flat().sort());
});

t.test("each place the crash matrices do not pass is one where another test kills", async (t) => {
  const tests = [...textsIn("test/sidecar", "-crash.test.ts")].join("\n");
  for (const place of [...UPKEEP_FAILPOINTS, ...MODEL_FAILPOINTS, ...TRANSFER_FAILPOINTS])
    t.ok(tests.includes(`"${place}=kill`), place);
});
