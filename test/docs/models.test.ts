/** docs/models.md: its commands, in its order, as somebody would type them. */
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import t from "tap";
import { parse } from "yaml";
import { ERRORS } from "../../core/contract/errors.js";
import { startSluice } from "../helpers/sluice.js";
import { commandLines } from "./fences.js";
import { runScript } from "./shell.js";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const page = readFileSync(join(ROOT, "docs/models.md"), "utf8");
const BOUND_MS = 120_000;

t.test("the page's commands do what it says, one after the other, beside its own configuration", async (t) => {
  const config = parse(/```yaml\n(.*?)```/s.exec(page)![1]!) as object;
  const sluice = await startSluice(t, { config: { ...config, discovery: { docker: { enabled: false } } } });
  const dir = t.testdir();
  mkdirSync(join(dir, "bin"));
  writeFileSync(join(dir, "bin", "sluice"), `#!/bin/sh\nexec "${process.execPath}" "${ROOT}dist/cli/main.js" "$@"\n`);
  chmodSync(join(dir, "bin", "sluice"), 0o755);
  const script = `set -eu -o pipefail\n${commandLines(page).join("\necho\n")}\n`;
  const env = {
    PATH: `${join(dir, "bin")}${delimiter}${process.env.PATH}`,
    HOME: dir,
    SLUICE_URL: sluice.url,
    SLUICE_CONFIG: sluice.configFile,
    SLUICE_DATA_DIR: sluice.dataDir,
  };
  const ended = await runScript("bash", script.replaceAll("localhost:8888", new URL(sluice.url).host), {
    cwd: dir,
    env,
    boundMs: BOUND_MS,
  });
  t.equal(ended.code, 0, `${ended.stdout.slice(-2_000)}${ended.stderr}`);
  t.match(ended.stdout, /^mine is ready, for 8 h/m);
  t.match(ended.stdout, /^words is ready/m);
  t.match(ended.stdout, /"F1"/, "the registry's version knows its word");
  t.match(ended.stdout, /sluice:\/\/words\/1/, "and is shown pinned");
  t.match(ended.stdout, /REGISTRY_IN_USE/);
  t.match(ended.stdout, /^reader\trunning\t/m);
  t.match(ended.stdout, /"annotations"/);
  t.match(ended.stdout, /^reader is stopped/m);
  t.match(ended.stdout, /^limits\tmemory 2g, 1\.5 cpus, reserves 1g$/m);
  t.match(ended.stdout, /^event: model\ndata: \{"model":/m);
  t.match(ended.stdout, /"openapi":"3\.1\.0"/);
});

t.test("the page names no error that is not there", async (t) => {
  const named = [...page.matchAll(/`([A-Z]+_[A-Z_]+)`/g)].map(([, code]) => code!);
  t.ok(named.length > 2);
  for (const code of named) t.ok(Object.hasOwn(ERRORS, code), code);
});
