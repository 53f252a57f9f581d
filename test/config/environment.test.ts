import { writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { SETTINGS } from "../../config/settings.js";
import { loader } from "./loader.js";

t.test("every variable's name stands for one key only", async (t) => {
  const names = SETTINGS.flatMap(({ env }) => (env === null ? [] : [env]));
  t.equal(new Set(names).size, names.length);
  t.ok(names.length > 100);
  for (const name of [
    "SLUICE_DATA_DIR",
    "SLUICE_PROXY_PORT",
    "SLUICE_PROXY_HOST",
    "SLUICE_SCHEDULER_MAX_CONCURRENT_TASKS",
    "SLUICE_RIPPER_INTERVAL",
    "SLUICE_DISCOVERY_STATIC",
  ]) {
    t.ok(names.includes(name), name);
  }
});

t.test("each kind of setting is read from its text", async (t) => {
  const { load } = loader(t, { "sluice.yaml": "redis: { url: 'redis://h' }" });
  const { config } = load({
    env: {
      SLUICE_PROXY_PORT: " 9001 ",
      SLUICE_TASKS_CANCEL_ON_HANG_UP: "no",
      SLUICE_DISCOVERY_DOCKER_ENABLED: "FALSE",
      SLUICE_LOG_LEVEL: "debug",
      SLUICE_PROXY_TIMEOUTS: "{connect: 3s, idle: 70}",
      SLUICE_PROXY_TIMEOUTS_IDLE: "80",
      SLUICE_PROXY_MAX_BODY_SIZE: "1MiB",
      SLUICE_DISCOVERY_STATIC: '[{name: a, url: "http://a:1/"}]',
      SLUICE_CMS_VOLUMES: '{"v": "/p"}',
      SLUICE_REDIS_URL: "null",
      SLUICE_CMS_GELF_INPUT_URI: "",
      SLUICE_REGISTRY_LOG_LEVEL: "5",
      SLUICE_MODELS_DEPLOYMENT_PROCESS: "{command: [run, '{port}']}",
    },
  });
  t.equal(config.proxy.port, 9001);
  t.equal(config.tasks.cancel_on_hang_up, false);
  t.equal(config.discovery.docker.enabled, false);
  t.equal(config.log.level, "debug");
  t.equal(config.proxy.timeouts.connect, 3_000);
  t.equal(config.proxy.timeouts.idle, 80_000, "the closer name wins");
  t.equal(config.proxy.max_body_size, 2 ** 20);
  t.same(config.discovery.static, [{ name: "a", url: "http://a:1", concurrency: null, rate_limit: null }]);
  t.same(config.cms.volumes, { v: "/p" }, "a map is replaced as a whole");
  t.equal(config.redis.url, null, "the word null stands for no value");
  t.equal(config.cms.gelf_input_uri, "", "set but empty is the empty text");
  t.equal(config.registry.log_level, "trace");
  t.same(config.models.deployment.process?.command, ["run", "{port}"]);
});

t.test("text that does not fit is refused under the variable's name", async (t) => {
  const { refuse } = loader(t, { "sluice.yaml": "" });
  const cases: [name: string, value: string, told: string][] = [
    ["SLUICE_PROXY_PORT", "", "proxy.port: must be a whole number, but it is empty"],
    ["SLUICE_PROXY_PORT", "0x10", "proxy.port: must be a whole number, not '0x10'"],
    ["SLUICE_TASKS_CANCEL_ON_HANG_UP", "maybe", "tasks.cancel_on_hang_up: must be true or false, not 'maybe'"],
    ["SLUICE_DISCOVERY_STATIC", "", "discovery.static: must be JSON or YAML text, but it is empty"],
    ["SLUICE_DISCOVERY_STATIC", "x", "discovery.static: must be a list, not 'x'"],
    ["SLUICE_PROXY", "1", "proxy: must be a mapping, not 1"],
    ["SLUICE_PROXY", "{prot: 1}", "proxy.prot: unknown key; did you mean 'port'?"],
  ];
  for (const [name, value, told] of cases) t.equal(refuse({ env: { [name]: value } }).format(), `${name}  ${told}`);
});

t.test("unknown variables of ours only warn, with the nearest name; what Kubernetes sets is no setting", async (t) => {
  const { load } = loader(t, { "sluice.yaml": "" });
  const { config, warnings } = load({
    env: {
      SLUICE_PROXY_PROT: "1",
      SLUICE_PROXY_PORT: "tcp://10.0.0.7:8888",
      SLUICE_ZZZZZZZZZ: "secret-text",
      SLUICE_TEST_X: "1",
      SLUICE_FAIL_AT: "1",
      SLUICE_CONFIG: "not-read-because-of-the-flag",
      OTHER: "1",
    },
  });
  t.equal(config.proxy.port, 8888);
  t.same(warnings, [
    "SLUICE_PROXY_PROT is not a setting; did you mean SLUICE_PROXY_PORT?",
    "SLUICE_ZZZZZZZZZ is not a setting",
    "SLUICE_PROXY_PORT is ignored: its value is an address that Kubernetes sets for a Service",
  ]);
});

t.test("a .env file adds variables and never overrides the real environment", async (t) => {
  const { cwd, load, refuse } = loader(t, {
    "sluice.yaml": "",
    ".env": '# remark\nSLUICE_PROXY_PORT=7001\nSLUICE_PROXY_WORKERS="3"\nCMG_SCHEDULER_MAX_CONCURRENT_TASKS=9\n',
  });
  const { config, files } = load({ env: { SLUICE_PROXY_PORT: "7002", SLUICE_PROXY_WORKERS: undefined } });
  t.equal(config.proxy.port, 7002);
  t.equal(config.proxy.workers, 3);
  t.equal(config.scheduler.max_concurrent_tasks, 9);
  t.equal(files.dotenv, join(cwd, ".env"));
  t.equal(refuse({ env: { SLUICE_PROXY_PORT: "" } }).faults[0]!.where, "SLUICE_PROXY_PORT", "set but empty is set");
  writeFileSync(join(cwd, ".env"), "SLUICE_PROXY_PORT=x\n");
  t.equal(refuse().format(), ".env: SLUICE_PROXY_PORT  proxy.port: must be a whole number, not 'x'");
});
