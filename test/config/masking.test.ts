import { writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { effectiveSettings } from "../../config/effective.js";
import { type ConfigError, type LoadOptions, loadConfig, readSources } from "../../config/load.js";
import { isSecret, type Node, ROOT } from "../../config/settings.js";
import { toYaml } from "../../config/yaml.js";
import { loader } from "./loader.js";

/** Every secret setting, by path; the element of a map stands under `x`. */
function secretPaths(node: Node, path: string[] = []): string[][] {
  if (node.secret) return [path];
  if (node.kind === "section") return [...node.children].flatMap(([key, child]) => secretPaths(child, [...path, key]));
  if (node.kind === "map" && node.element !== undefined) return secretPaths(node.element, [...path, "x"]);
  return [];
}

const WORD = "hunter2hunter2";

t.test("the settings that must be secret are", async (t) => {
  const paths = secretPaths(ROOT).map((path) => path.join("."));
  t.same(paths.sort(), [
    "callbacks.secret",
    "callbacks.url",
    "cms.auth.database_url",
    "cms.auth.jwt_secret",
    "cms.proxy.http_proxy",
    "cms.proxy.https_proxy",
    "cms.tracking.password",
    "cms.tracking.s3.access_key_id",
    "cms.tracking.s3.secret_access_key",
    "models.deployment.process.env.x",
    "redis.url",
    "registry.directory_authentication_token",
    "tracking.password",
    "tracking.s3.access_key_id",
    "tracking.s3.secret_access_key",
  ]);
  t.ok(isSecret(["discovery", "process", 0, "env", "API_KEY"]));
  t.notOk(isSecret(["discovery", "process", 0, "command", 0]));
});

t.test("a secret is in no fault, whatever is wrong with it", async (t) => {
  const { refuse } = loader(t, { "sluice.yaml": "" });
  const wrong = [[WORD], { [WORD]: 1 }, { a: WORD }, 17_171_717];
  for (const path of secretPaths(ROOT)) {
    for (const value of wrong) {
      const told = refuse({ flags: { [path.join(".")]: value } });
      const text = `${told.format()} ${told.message} ${JSON.stringify(told.faults)}`;
      t.notMatch(text, /hunter2|17171717/, `${path.join(".")} ${JSON.stringify(value)}`);
      t.ok(told.faults.length > 0);
    }
  }
});

t.test("keys in other places are not repeated either", async (t) => {
  const { cwd, refuse } = loader(t, { "sluice.yaml": "" });
  const texts = [
    `redis: { ulr: ${WORD} }`,
    `redis: { "redis://user:${WORD}@host:6379" }`,
    `redis: ${WORD}`,
    `cms: { tracking: { pasword: ${WORD} } }`,
    `cms: { tracking: [${WORD}] }`,
    `discovery: { static: [{ name: a, url: "http://user:${WORD}@host" }] }`,
    `discovery: { process: [{ name: a, command: [], env: { KEY: [${WORD}] } }] }`,
    `registry: { directory_endpoint: "grpc://user:${WORD}@h" }`,
    `redis: { url: "${WORD} }`,
    `redis: { url: !${WORD} 1, x: 1 }`,
    `redis: { url: "\\q${WORD}" }`,
    `redis: { url: ${WORD}: x }`,
    `${WORD}`,
  ];
  for (const text of texts) {
    writeFileSync(join(cwd, "sluice.yaml"), text);
    const told = refuse();
    t.notMatch(`${told.format()} ${told.message} ${JSON.stringify(told.faults)}`, /hunter2/, text);
  }
  const refuseEnv = (env: LoadOptions["env"]): ConfigError => refuse({ file: "/dev/null", env });
  t.notMatch(refuseEnv({ SLUICE_REDIS: `{url: ${WORD}`, SLUICE_REDIS_URL: WORD }).format(), /hunter2/);
});

t.test("the configuration in force is shown without secrets and stays loadable but for them", async (t) => {
  const { cwd } = loader(t, {
    "sluice.yaml": `
redis: { url: "redis://:${WORD}@h" }
cms: { gelf_input_uri: "http://u:${WORD}@graylog", tracking: { password: ${WORD} }, auth: { jwt_secret: ${WORD} } }
discovery:
  process: [{ name: a, command: [run, "--token=${WORD}", "http://u:${WORD}@h"], env: { KEY: ${WORD} }, idle_ttl: 90 }]
scheduler: { classes: { batch: { priority: 4 } } }
tracking: { uri: http://x, password: ${WORD} }
`,
  });
  const options = { file: "sluice.yaml", cwd, env: { SLUICE_REGISTRY_DIRECTORY_AUTHENTICATION_TOKEN: WORD } };
  const loaded = loadConfig(options);
  const shown = effectiveSettings(loaded, readSources(options));
  t.notMatch(toYaml(shown), /hunter2/);
  t.match(shown, {
    data_dir: join(cwd, "registry-data"),
    redis: { url: "***" },
    proxy: { timeouts: { connect: "10s" } },
    scheduler: {
      classes: { batch: { priority: 4 }, training: { priority: 7 } },
      routes: { evaluate: { mode: "queue" } },
    },
  });
  const { redis: _redis, ...rest } = shown;
  writeFileSync(join(cwd, "again.yaml"), toYaml(rest));
  const again = loadConfig({ file: "again.yaml", cwd, env: {} }).config;
  t.same(again.scheduler, loaded.config.scheduler);
  t.same(again.proxy, loaded.config.proxy);
  t.equal(again.discovery.process[0]!.idle_ttl, 90_000);
});
