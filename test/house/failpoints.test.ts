/** The list of named places is whole: what the crash matrix goes by. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import t from "tap";
import { CALL_PLACES, FAILPOINTS } from "../../core/runtime/failpoint-list.js";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const FOLDERS = ["core", "config", "proxy", "sidecar", "cli"];

t.test("each failpoint in the source is in the list, and each in the list is in the source", async (t) => {
  const inSource = new Set<string>();
  for (const folder of FOLDERS) {
    for (const name of readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })) {
      if (!name.endsWith(".ts")) continue;
      const text = readFileSync(join(root, folder, name), "utf8");
      for (const [, place] of text.matchAll(/^\s*(?:await )?failpoint\("([^"]+)"\)/gm)) inSource.add(place!);
    }
  }
  const calls = new Set<string>(CALL_PLACES);
  const steps = [...inSource].filter((place) => !calls.has(place));
  t.same(steps.sort(), [...FAILPOINTS].sort());
});
