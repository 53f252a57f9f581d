import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import t, { type Test } from "tap";
import { copyAssets } from "../../cli/copy-assets.js";
import { renderJsonSchema } from "../../config/reference.js";

const COMMAND = join(import.meta.dirname, "../../cli/config.js");
const START = `import { configCommand } from ${JSON.stringify(COMMAND)}; await configCommand().parseAsync(process.argv.slice(1), { from: "user" });`;

function run(cwd: string, args: string[], env: Record<string, string> = {}, start = START) {
  const { status, stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", start, "--", ...args], {
    cwd,
    env: { PATH: process.env.PATH ?? "", ...env },
    encoding: "utf8",
    timeout: 20_000,
  });
  return { status, stdout, stderr };
}

const folder = (t: Test, text = "") => t.testdir({ "sluice.yaml": text });

t.test("check says that all is well with 0, and lists every fault with 2", async (t) => {
  const cwd = folder(t, "proxy: { prot: 1 }\nlog: { level: x }");
  const bad = run(cwd, ["check", "--config", "sluice.yaml", "--port", "70000"]);
  t.equal(bad.status, 2);
  t.equal(bad.stdout, "");
  t.same(
    bad.stderr
      .trim()
      .split("\n")
      .map((line) => line.slice(0, 55)),
    [
      "error: sluice.yaml:1  proxy.prot: unknown key; did you ",
      "error: sluice.yaml:2  log.level: must be one of fatal, ",
      "error: --port  proxy.port: must be at most 65535, not 7",
    ],
  );
  const good = run(cwd, ["check"], { SLUICE_PROXY_HOST: "0.0.0.0" });
  t.equal(good.status, 0);
  t.match(good.stdout, /^config is valid: .*sluice\.yaml\n$/);
  t.match(good.stderr, /^warning: proxy\.host is 0\.0\.0\.0/);
  t.equal(run(cwd, ["check", "--prot", "1"]).status, 2, "a wrong flag");
  t.equal(run(cwd, ["check", "--port", "x"]).status, 2, "a flag's wrong value");
  t.equal(run(cwd, ["chekc"]).status, 2, "a wrong command");
  t.equal(run(cwd, ["check", "--help"]).status, 0);
});

t.test("print shows what is in force and where it comes from, without secrets", async (t) => {
  const cwd = folder(t, "proxy: { port: 9001 }\nredis: { url: 'redis://:hunter2@h' }");
  const at = ["--config", "sluice.yaml"];
  const yaml = run(cwd, ["print", ...at, "--origin", "--host", "::1"], { SLUICE_PROXY_WORKERS: "2" });
  t.equal(yaml.status, 0);
  for (const line of [
    "  host: ::1 # --host",
    "  port: 9001 # sluice.yaml:1",
    "  workers: 2 # SLUICE_PROXY_WORKERS",
    "  aliases: [] # default",
    "  max_body_size: 8GiB # default",
    '  url: "***" # sluice.yaml:2',
  ]) {
    t.ok(yaml.stdout.split("\n").includes(line), line);
  }
  t.notMatch(yaml.stdout, /hunter2/);
  const json = JSON.parse(run(cwd, ["print", ...at, "--json"]).stdout);
  t.equal(json.proxy.port, 9001);
  const origins = JSON.parse(run(cwd, ["print", ...at, "--json", "--origin"]).stdout);
  t.same(origins["proxy.port"], { value: 9001, origin: "sluice.yaml:1" });
  t.equal(run(cwd, ["schema"]).stdout, renderJsonSchema());
});

t.test("the flags work before and after the command's name, under the whole program", async (t) => {
  const cwd = folder(t, "proxy: { port: 9001 }");
  const program = JSON.stringify(join(import.meta.dirname, "../../cli/program.js"));
  const start = `import { createProgram } from ${program}; await createProgram(async () => undefined, "0").parseAsync(process.argv.slice(1), { from: "user" });`;
  for (const args of [
    ["config", "print", "--json", "--config", "sluice.yaml", "--host", "::1"],
    ["--config", "sluice.yaml", "--host", "::1", "config", "print", "--json"],
  ]) {
    const { stdout } = run(cwd, args, {}, start);
    t.match(JSON.parse(stdout), { proxy: { port: 9001, host: "::1" } }, args.join(" "));
  }
});

t.test("import writes a file that check accepts, and overwrites none unasked", async (t) => {
  const cwd = t.testdir({
    "config.jsonc": '{ "cms": { "host_url": "", "tracking": { "password": "hunter2" } }, } // end',
  });
  const env = { CMG_RIPPER_INTERVAL: "30" };
  const shown = run(cwd, ["import", "config.jsonc"], env);
  t.equal(shown.status, 0);
  t.match(shown.stdout, /ripper:\n {2}interval: 30\n/);
  t.notMatch(shown.stdout + shown.stderr, /hunter2/);
  const out = ["--output", "sluice.yaml"];
  t.equal(run(cwd, ["import", "config.jsonc", ...out], env).status, 0);
  t.equal(readFileSync(join(cwd, "sluice.yaml"), "utf8"), shown.stdout);
  const again = run(cwd, ["import", ...out], { CONFIG_FILE: "config.jsonc" });
  t.equal(again.status, 2);
  t.match(again.stderr, /exists; --force overwrites it/);
  t.equal(readFileSync(join(cwd, "sluice.yaml"), "utf8"), shown.stdout, "untouched");
  t.equal(run(cwd, ["import", "config.jsonc", ...out, "--force", "--with-secrets"]).status, 0);
  t.match(readFileSync(join(cwd, "sluice.yaml"), "utf8"), /password: hunter2/);
  t.equal(statSync(join(cwd, "sluice.yaml")).mode & 0o777, 0o600, "for its owner alone");
  t.equal(run(cwd, ["check", "--config", "sluice.yaml"]).status, 0);
  t.equal(run(cwd, ["import", "nope.json"]).status, 2);
});

t.test("the build copies what the compiler leaves behind and removes what is gone", async (t) => {
  const root = t.testdir({});
  const put = (file: string, text: string) => {
    mkdirSync(dirname(join(root, file)), { recursive: true });
    writeFileSync(join(root, file), text);
  };
  put("sidecar/db/migrations/0001-a.sql", "one");
  put("sidecar/db/open.ts", "");
  put("dist/sidecar/db/migrations/0000-gone.sql", "old");
  put("dist/sidecar/db/open.js", "kept");
  t.same(copyAssets(root), ["sidecar/db/migrations/0001-a.sql"]);
  t.equal(readFileSync(join(root, "dist/sidecar/db/migrations/0001-a.sql"), "utf8"), "one");
  t.throws(() => statSync(join(root, "dist/sidecar/db/migrations/0000-gone.sql")));
  t.equal(readFileSync(join(root, "dist/sidecar/db/open.js"), "utf8"), "kept");
});
