/** docs/tasks.md: its commands, in its order, as somebody would type them. */
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import t from "tap";
import { ERRORS } from "../../core/contract/errors.js";
import { WAIT_CODES } from "../../core/contract/tasks.js";
import { startGazetteer } from "../helpers/gazetteer.js";
import { startSluice } from "../helpers/sluice.js";
import { commandLines } from "./fences.js";
import { runScript } from "./shell.js";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const page = readFileSync(join(ROOT, "docs/tasks.md"), "utf8");
const BOUND_MS = 90_000;

/** In these the model server is held still, so that what was handed in waits. */
const HELD = { from: "Why does it wait?", to: "Cancel" };

/** Prints the line, then runs it; each line's output stands under its own mark. */
const MARK = "\u0001";
const step = (line: string) => `printf '${MARK}%s\\n' '${line.replaceAll("'", `'\\''`)}'\n${line}\n`;

function scriptOf(modelPid: number): string {
  let script = "set -eu -o pipefail\n";
  for (const section of page.split(/^## /m).slice(1)) {
    const title = section.slice(0, section.indexOf("\n"));
    if (title === HELD.from) script += `kill -STOP ${modelPid}\n`;
    script += commandLines(section).map(step).join("");
    if (title === HELD.to) script += `kill -CONT ${modelPid}\n`;
  }
  return script;
}

t.test("the page's commands do what it says, one after the other", async (t) => {
  const model = await startGazetteer(t);
  t.teardown(() => model.kill("SIGCONT"));
  const sluice = await startSluice(t, { config: { discovery: { static: [{ name: "gazetteer", url: model.url }] } } });
  const dir = t.testdir();
  mkdirSync(join(dir, "bin"));
  writeFileSync(join(dir, "bin", "sluice"), `#!/bin/sh\nexec "${process.execPath}" "${ROOT}dist/cli/main.js" "$@"\n`);
  chmodSync(join(dir, "bin", "sluice"), 0o755);
  const script = scriptOf(model.pid).replaceAll("localhost:8888", new URL(sluice.url).host);
  const env = {
    PATH: `${join(dir, "bin")}${delimiter}${process.env.PATH}`,
    HOME: dir,
    SLUICE_URL: sluice.url,
    SLUICE_CONFIG: sluice.configFile,
    SLUICE_DATA_DIR: sluice.dataDir,
  };
  const ended = await runScript("bash", script, { cwd: dir, env, boundMs: BOUND_MS });
  t.equal(ended.code, 0, `${ended.stdout.slice(-2_000)}${ended.stderr}`);

  const told = new Map(
    ended.stdout
      .split(MARK)
      .slice(1)
      .map((each) => [each.slice(0, each.indexOf("\n")), each.slice(each.indexOf("\n") + 1)] as const),
  );
  const after = (words: string) => {
    const found = [...told].find(([line]) => line.includes(words));
    if (found === undefined) throw new Error(`no command has '${words}'`);
    return found[1];
  };
  const id = after("echo $ID").trim();
  t.match(id, /^[0-9a-f-]{36}$/);
  t.equal((JSON.parse(after("sluice tasks wait $ID")) as unknown[]).length, 2);
  t.match(JSON.parse(after("?wait=30")), { uuid: id, status: "succeeded" });
  t.match(after("/events"), /"status":"succeeded"/);
  t.match(after("sluice tasks why"), /^It waits for a slot of model 'gazetteer';/);
  const why = JSON.parse(after("/why"));
  t.match(why, { status: "pending", position: 0, waiting_for: [{ code: "model_slot" }] });
  t.same(Object.keys(why), Object.keys(JSON.parse(/```json\n(.*?)```/s.exec(page)![1]!)), "as the page shows it");
  t.match(after("sluice tasks cancel"), /is cancelled\.$/m);
  t.match(after("-X DELETE"), /TASK_NOT_CANCELLABLE/);
  t.match(after(" -I "), /^HTTP\/1\.1 200 OK[\s\S]*^etag: "[0-9a-f]{64}"/im);
  t.equal(after("if-none-match"), "");
  const listed = JSON.parse(readFileSync(join(dir, "tasks.json"), "utf8")) as { uuid: string }[];
  t.ok(listed.length >= 10 && listed.some(({ uuid }) => uuid === id), `${listed.length} tasks`);
});

t.test("the page names every code of /why, and no error that is not there", async (t) => {
  const codes = [...page.matchAll(/^\| `([a-z_]+)` \|/gm)].map((match) => match[1]);
  t.same(codes, WAIT_CODES);
  for (const [, code] of page.matchAll(/`([A-Z]+_[A-Z_]+)`/g)) t.ok(Object.hasOwn(ERRORS, code!), code!);
});
