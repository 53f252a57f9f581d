import { writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { importCmg } from "../../config/import-cmg.js";
import { loadConfig } from "../../config/load.js";
import { loader } from "./loader.js";

const JSONC = `// CMG's settings
{
\t/* where the servers are */
\t"cms": {
\t\t"host_url": "", // "quoted" remark
\t\t"project_name": "a // b, /* c */ ,]",
\t\t"tracking": { "uri": "http://mlflow:1", "password": "hunter2", "s3": { "secret_access_key": "hunter3", }, },
\t},
\t"models": { "deployment": { "auto": { "default_idle_ttl": 90 }, "manual": { "max_ttl": 604800 } } },
\t"labels": { "ttl_label": "x.ttl" },
\t"tracking": { "uri": "http://mlflow:2" },
}
`;

t.test("CMG's file is read with comments and trailing commas; its numbers are seconds", async (t) => {
  const { load } = loader(t, { "sluice.yaml": "", "config.jsonc": JSONC });
  const { config, warnings, files } = load({ env: { CONFIG_FILE: "config.jsonc" } });
  t.equal(config.cms.host_url, "");
  t.equal(config.cms.project_name, "a // b, /* c */ ,]", "what looks like a comment inside quotes is text");
  t.equal(config.models.deployment.auto.default_idle_ttl, 90_000);
  t.equal(config.models.deployment.manual.max_ttl, 604_800_000);
  t.equal(config.labels.ttl_label, "x.ttl");
  t.equal(config.tracking?.uri, "http://mlflow:2", "the section of its own is not replaced by cms.tracking");
  t.equal(config.cms.tracking.uri, "http://mlflow:1");
  t.match(files.cmg, /config\.jsonc$/);
  t.same(warnings, []);
});

t.test(
  "what CMG would ignore in its file is ignored with a warning; what is wrong is refused with its line",
  async (t) => {
    const { cwd, load, refuse } = loader(t, { "sluice.yaml": "" });
    const env = { CONFIG_FILE: "config.json" };
    const write = (text: string) => writeFileSync(join(cwd, "config.json"), text);
    write(
      '{ "cms": { "host_url": "", "hots": 1 }, "scheduler": { "max_concurrent_tasks": 9 }, "db": {}, "__proto__": {"a": 1} }',
    );
    const { config, warnings } = load({ env });
    t.equal(config.scheduler.max_concurrent_tasks, 4);
    t.same(warnings, ["config.json: ignored, as CogStack Model Gateway does: cms.hots, scheduler, db, __proto__"]);
    write('{\n "cms": {\n  "host_url": null,\n  "server_port": "x"\n }\n}');
    t.same(refuse({ env }).format().split("\n"), [
      "config.json:3  cms.host_url: must be text, not null",
      "config.json:4  cms.server_port: must be a whole number, not 'x'",
    ]);
    write('{\n "cms": {\n');
    t.match(refuse({ env }).format(), /^config\.json:\d+:\d+ {2}/);
    write("[1]");
    t.equal(refuse({ env }).format(), "config.json:1  must be a JSON object, not a list of 1");
  },
);

t.test("leaving cms.host_url out means CMG's own default, and is told", async (t) => {
  const { load } = loader(t, { "sluice.yaml": "", "config.json": "{}", "own.yaml": "cms: { host_url: '' }" });
  const env = { CONFIG_FILE: "config.json" };
  t.equal(load({ env }).config.cms.host_url, "https://proxy/cms");
  t.match(load({ env }).warnings, [/leaves cms\.host_url out/]);
  t.equal(load({ env, file: "own.yaml" }).config.cms.host_url, "");
  t.equal(load().config.cms.host_url, "", "without a CMG file servers are reached directly");
});

t.test("a missing CMG file warns, as in CMG; an unreadable one is refused", async (t) => {
  const { load, refuse } = loader(t, { "sluice.yaml": "", folder: {} });
  t.same(load({ env: { CONFIG_FILE: "nope.json" } }).warnings, [
    "CONFIG_FILE: nope.json does not exist; defaults are used",
  ]);
  t.equal(refuse({ env: { CONFIG_FILE: "folder" } }).format(), "CONFIG_FILE  folder is a folder, not a file");
});

t.test("CMG's variables are mapped; those for services Sluice does without are named once", async (t) => {
  const { load, refuse } = loader(t, { "sluice.yaml": "" });
  const { config, warnings } = load({
    env: {
      CMG_SCHEDULER_MAX_CONCURRENT_TASKS: "7",
      CMG_RIPPER_INTERVAL: "30",
      CMG_HOST_PORT: "8899",
      CMG_COMMON_LOG_LEVEL: "WARNING",
      CMG_GATEWAY_LOG_LEVEL: "debug",
      CMG_DB_PASSWORD: "hunter2",
      CMG_QUEUE_HOST: "queue",
      CMG_OBJECT_STORE_PORT: "9000",
      CMG_SCHEDULER_METRICS_PORT: "8001",
      CMG_RIPER_INTERVAL: "1",
    },
  });
  t.equal(config.scheduler.max_concurrent_tasks, 7);
  t.equal(config.ripper.interval, 30_000);
  t.equal(config.proxy.port, 8899);
  t.equal(config.log.level, "debug", "the gateway's own level before the common one");
  t.same(warnings, [
    "not needed: CMG_DB_PASSWORD, CMG_OBJECT_STORE_PORT, CMG_QUEUE_HOST, CMG_SCHEDULER_METRICS_PORT",
    "CMG_RIPER_INTERVAL is not a setting; did you mean CMG_RIPPER_INTERVAL?",
  ]);
  t.match(refuse({ env: { CMG_SCHEDULER_MAX_CONCURRENT_TASKS: "" } }).format(), /^CMG_SCHEDULER.*but it is empty$/);
  t.match(
    refuse({ env: { CMG_COMMON_LOG_LEVEL: "LOUD" } }).format(),
    /^CMG_COMMON_LOG_LEVEL {2}log\.level: must be one of/,
  );
});

t.test("DOCKER_HOST names the socket, below every file", async (t) => {
  const { load } = loader(t, { "sluice.yaml": "", "own.yaml": "discovery: { docker: { socket: /own.sock } }" });
  const env = { DOCKER_HOST: "unix:///run/user/1/docker.sock" };
  t.equal(load({ env }).config.discovery.docker.socket, "/run/user/1/docker.sock");
  t.equal(load({ env, file: "own.yaml" }).config.discovery.docker.socket, "/own.sock");
  t.match(load({ env: { DOCKER_HOST: "tcp://h:2375" } }).warnings, [/DOCKER_HOST is ignored/]);
});

t.test("an import loads to the same configuration as CMG's own files", async (t) => {
  const { cwd, load } = loader(t, { "sluice.yaml": "", "config.jsonc": JSONC });
  const env = { CMG_RIPPER_INTERVAL: "30", CMG_COMMON_LOG_LEVEL: "ERROR", CMG_DB_HOST: "db" };
  const straight = load({ env: { ...env, CONFIG_FILE: "config.jsonc" } }).config;
  const { yaml, warnings } = importCmg({ file: "config.jsonc", env, cwd, withSecrets: true });
  writeFileSync(join(cwd, "imported.yaml"), yaml);
  t.same(loadConfig({ file: "imported.yaml", env: {}, cwd }).config, straight);
  t.same(warnings, ["not needed: CMG_DB_HOST"]);

  const bare = importCmg({ file: "config.jsonc", env, cwd, withSecrets: false }).yaml;
  t.notMatch(bare, /hunter/);
  t.match(bare, /SLUICE_CMS_TRACKING_PASSWORD\n.*SLUICE_CMS_TRACKING_S3_SECRET_ACCESS_KEY/);
  writeFileSync(join(cwd, "bare.yaml"), bare);
  const secrets = { SLUICE_CMS_TRACKING_PASSWORD: "hunter2", SLUICE_CMS_TRACKING_S3_SECRET_ACCESS_KEY: "hunter3" };
  t.same(loadConfig({ file: "bare.yaml", env: secrets, cwd }).config, straight);
  const missing = { message: /: nope\.json {2}there is no such file$/ };
  t.throws(() => importCmg({ file: "nope.json", env: {}, cwd, withSecrets: false }), missing);
  const nothing = { message: /CONFIG_FILE {2}is not set, and neither is a CMG_\* variable; name the file to import$/ };
  t.throws(() => importCmg({ env: {}, cwd, withSecrets: false }), nothing);
});
