/** docs/registry.md: the commands of its sections on the command and on HTTP, in their order, as somebody would type them. */
import { randomBytes } from "node:crypto";
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import t from "tap";
import { ERRORS } from "../../core/contract/errors.js";
import { startSluice } from "../helpers/sluice.js";
import { commandLines } from "./fences.js";
import { runScript } from "./shell.js";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const page = readFileSync(join(ROOT, "docs/registry.md"), "utf8");
const section = (title: string) => page.split(/^## /m).find((each) => each.startsWith(`${title}\n`))!;

t.test("the page's commands do what it says, one after the other", async (t) => {
  const sluice = await startSluice(t);
  const dir = t.testdir();
  mkdirSync(join(dir, "bin"));
  writeFileSync(join(dir, "bin", "sluice"), `#!/bin/sh\nexec "${process.execPath}" "${ROOT}dist/cli/main.js" "$@"\n`);
  chmodSync(join(dir, "bin", "sluice"), 0o755);
  const bytes = randomBytes(100_000);
  writeFileSync(join(dir, "model.zip"), bytes);
  const commands = [...commandLines(section("The command")), ...commandLines(section("Over HTTP"))];
  const script = `set -eu -o pipefail\n${commands.join("\necho\n")}\n`;
  const ended = await runScript("bash", script.replaceAll("localhost:8888", new URL(sluice.url).host), {
    cwd: dir,
    env: {
      PATH: `${join(dir, "bin")}${delimiter}${process.env.PATH}`,
      HOME: dir,
      SLUICE_URL: sluice.url,
      SLUICE_CONFIG: sluice.configFile,
      SLUICE_DATA_DIR: sluice.dataDir,
    },
    boundMs: 60_000,
  });
  t.equal(ended.code, 0, `${ended.stdout.slice(-2_000)}${ended.stderr}`);
  t.match(ended.stdout, /^sluice:\/\/mine\/1$/m);
  t.match(ended.stdout, /^mine: previous means version 1$/m);
  t.match(ended.stdout, /"aliases":\{"champion":1\}/);
  for (const name of ["copy.zip", "whole.zip"]) t.ok(readFileSync(join(dir, name)).equals(bytes), name);
  t.ok(readFileSync(join(dir, "part.zip")).equals(bytes.subarray(0, 100)));
});

t.test("the page names no error that is not there", async (t) => {
  const named = [...page.matchAll(/`([A-Z]+_[A-Z_]+)`/g)].map(([, code]) => code!);
  const codes = named.filter((code) => /^(REGISTRY_(IN|UP|MO|VE|AL|BU|ID)|VERSION_)/.test(code));
  t.ok(codes.length > 1);
  for (const code of codes) t.ok(Object.hasOwn(ERRORS, code), code);
});
