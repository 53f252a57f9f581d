/** `npm run check` holds the arrows between the folders; here the rules are shown to bite. */
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import t from "tap";

const root = fileURLToPath(new URL("../../..", import.meta.url));

/** A small tree under the same rules, with two packages in the shape npm gives them. */
function plantTree(folder: string, files: Record<string, string>): void {
  for (const file of [".dependency-cruiser.cjs", "tsconfig.json", "package.json"])
    cpSync(join(root, file), join(folder, file));
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
}

function cruise(folder: string): { code: number | null; rules: string[] } {
  const run = spawnSync(
    process.execPath,
    [
      join(root, "node_modules/dependency-cruiser/bin/dependency-cruise.mjs"),
      ...["--config", ".dependency-cruiser.cjs", "--output-type", "err"],
      ...["core", "config", "proxy", "sidecar", "cli", "examples"],
    ],
    { cwd: folder, encoding: "utf8", timeout: 60_000, env: { ...process.env, NO_COLOR: "1", FORCE_COLOR: "0" } },
  );
  const rules = [...run.stdout.matchAll(/^\s*error ([\w-]+):/gm)].map((match) => match[1] ?? "");
  return { code: run.status, rules: [...new Set(rules)].sort() };
}

const lawful = {
  "core/contract/a.ts": "export const a = 1;\n",
  "core/runtime/http.ts": 'export { Agent } from "undici";\n',
  "config/a.ts": 'export { a } from "../core/contract/a.js";\n',
  "proxy/a.ts": 'export { a } from "../config/a.js";\n',
  "sidecar/a.ts": 'export { a } from "../config/a.js";\n',
  "cli/a.ts": 'export { a } from "../config/a.js";\n',
  "examples/a.ts": "export const a = 1;\n",
};

t.test("a lawful tree passes", async (t) => {
  const folder = t.testdir();
  plantTree(folder, lawful);
  t.strictSame(cruise(folder), { code: 0, rules: [] });
});

t.test("each arrow that points the wrong way is found", async (t) => {
  const folder = t.testdir();
  plantTree(folder, {
    ...lawful,
    "core/runtime/up.ts": 'export { a } from "../../config/a.js";\n',
    "core/contract/library.ts": 'export { z } from "zod";\n',
    "config/up.ts": 'export { a } from "../proxy/a.js";\n',
    "proxy/across.ts": 'export { a } from "../sidecar/a.js";\n',
    "proxy/round.ts": 'export { b } from "./about.js";\nexport const a = 1;\n',
    "proxy/about.ts": 'export { a } from "./round.js";\nexport const b = 1;\n',
    "sidecar/across.ts": 'export { a } from "../proxy/a.js";\n',
    "sidecar/up.ts": 'export { a } from "../cli/a.js";\n',
    "sidecar/tool.ts": 'export { Queue } from "bullmq";\n',
    "sidecar/doorway.ts": 'export { Agent } from "undici";\n',
    "examples/in.ts": 'export { a } from "../core/contract/a.js";\n',
    "cli/stranger.ts": 'export { x } from "a-package-nobody-declared";\n',
  });
  const { code, rules } = cruise(folder);
  t.not(code, 0);
  t.strictSame(rules, [
    "config-knows-core-only",
    "contracts-know-no-library",
    "core-stands-alone",
    "no-cycles",
    "no-development-tool-in-the-product",
    "no-undeclared-package",
    "nothing-reaches-into-cli",
    "proxy-meets-sidecar-on-the-wire",
    "sidecar-meets-proxy-on-the-wire",
    "the-example-is-a-stranger",
    "undici-has-one-doorway",
    "zod-has-one-doorway",
  ]);
});
