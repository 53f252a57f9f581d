import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import t from "tap";
import { DEFAULT_CONFIG_FILE, PACKAGE_ROOT } from "../../config/files.js";
import { type ConfigError, loadConfig, socketPathOf } from "../../config/load.js";
import { loader } from "./loader.js";

t.test("each source wins over the ones beneath it: default, CMG file, YAML, CMG variables, ours, flags", async (t) => {
  const { cwd } = loader(t, {
    "cmg.json": JSON.stringify({
      cms: { host_url: "", project_name: "from-cmg", image: "from-cmg", network: "from-cmg" },
    }),
    "sluice.yaml":
      "cms: { image: from-yaml, network: from-yaml }\nproxy: { port: 1001, workers: 2 }\nscheduler: { max_concurrent_tasks: 11 }\n",
    "more.yaml": "proxy: { port: 1005 }",
  });
  const env = {
    CONFIG_FILE: "cmg.json",
    SLUICE_CONFIG: "sluice.yaml",
    SLUICE_CMS_NETWORK: "from-env",
    CMG_HOST_PORT: "1002",
    CMG_SCHEDULER_MAX_CONCURRENT_TASKS: "12",
    SLUICE_SCHEDULER_MAX_CONCURRENT_TASKS: "13",
  };
  const bare = loadConfig({ env: { SLUICE_CONFIG: "sluice.yaml" }, cwd }).config;
  t.equal(bare.proxy.port, 1001, "YAML over default");
  t.equal(bare.cms.project_name, "cms", "default");
  const { config, files } = loadConfig({ env, cwd });
  t.equal(config.cms.project_name, "from-cmg", "CMG's file over default");
  t.equal(config.cms.image, "from-yaml", "YAML over CMG's file");
  t.equal(config.cms.network, "from-env", "variable over YAML");
  t.equal(config.proxy.port, 1002, "CMG's variable over YAML");
  t.equal(config.proxy.workers, 2, "keys of one section are merged");
  t.equal(config.scheduler.max_concurrent_tasks, 13, "our variable over CMG's");
  t.same(files, { sluice: join(cwd, "sluice.yaml"), cmg: join(cwd, "cmg.json"), dotenv: null });
  const flagged = loadConfig({ env, cwd, flags: { port: 1003, dataDir: "elsewhere", "log.level": "debug" } }).config;
  t.equal(flagged.proxy.port, 1003, "flag over variable");
  t.equal(flagged.data_dir, join(cwd, "elsewhere"));
  t.equal(flagged.log.level, "debug");
  t.equal(
    loadConfig({ env, cwd, file: "more.yaml" }).files.sluice,
    join(cwd, "more.yaml"),
    "--config over SLUICE_CONFIG",
  );
});

t.test("an empty file, an empty section and a missing default file mean the defaults", async (t) => {
  const { load, cwd } = loader(t, { "sluice.yaml": "" });
  const defaults = load().config;
  t.equal(defaults.proxy.timeouts.connect, 10_000);
  t.equal(defaults.proxy.max_body_size, 8 * 2 ** 30);
  t.equal(defaults.data_dir, join(cwd, "registry-data"));
  t.same(Object.keys(defaults.scheduler.classes), ["interactive", "batch", "evaluation", "training"]);
  writeFileSync(join(cwd, "sluice.yaml"), "proxy:\n  # port: 1\ndiscovery:\n  static:\n  # - name: a\nlog:\n");
  t.same(load().config, defaults);
});

t.test("the result is frozen to its depths", async (t) => {
  const { config } = loader(t, { "sluice.yaml": "discovery: { static: [{ name: a, url: http://a:1 }] }" }).load();
  t.throws(() => Object.assign(config.proxy.timeouts, { idle: 1 }), TypeError);
  t.throws(() => Object.assign(config.discovery.static[0]!, { name: "b" }), TypeError);
});

t.test("all faults come at once, each with place, path, value and the word meant", async (t) => {
  const error = loader(t, {
    "sluice.yaml": [
      "proxy:",
      "  prot: 1",
      "  port: 70000",
      "  timeouts: { idle: 5 parsecs }",
      "discovery:",
      "  static:",
      "    - { name: a, url: http://a:1 }",
      "    - { name: a, url: ftp://a }",
      "  process: 3",
      "scheduler:",
      "  max_concurrent_tasks: 1.5",
      "  routes: { x: { mode: queue, class: nope } }",
      "  classes: { odd: { priority: 1, bounds: [5, 2] } }",
      "max_body_size: 3",
    ].join("\n"),
  }).refuse({
    env: { SLUICE_LOG_LEVEL: "inf", SLUICE_PROXY_WORKERS: "", SLUICE_PROXY_ALIASES: "[{" },
    flags: { host: "", "proxy.worker": "1" },
  });
  t.same(error.format().split("\n"), [
    "sluice.yaml:2  proxy.prot: unknown key; did you mean 'port'?",
    "sluice.yaml:3  proxy.port: must be at most 65535, not 70000",
    "sluice.yaml:4  proxy.timeouts.idle: must be seconds or a duration such as 90s, 5m, 250ms, not '5 parsecs'",
    "sluice.yaml:8  discovery.static[1].url: must be an http:// or https:// URL without credentials, query or fragment, not 'ftp://a'",
    "sluice.yaml:8  discovery.static[1].name: the name 'a' is used twice",
    "sluice.yaml:9  discovery.process: must be a list, not 3",
    "sluice.yaml:11  scheduler.max_concurrent_tasks: must be a whole number, not 1.5",
    "sluice.yaml:12  scheduler.routes.x.class: there is no class 'nope' in scheduler.classes",
    "sluice.yaml:13  scheduler.classes.odd.bounds: the first bound must not be above the second",
    "sluice.yaml:14  max_body_size: unknown key; did you mean 'proxy.max_body_size'?",
    "SLUICE_PROXY_ALIASES  proxy.aliases: is not valid JSON or YAML text (line 1, column 3): the indentation does not fit; or a bracket above is not closed",
    "SLUICE_PROXY_WORKERS  proxy.workers: must be a whole number, but it is empty",
    "SLUICE_LOG_LEVEL  log.level: must be one of fatal, error, warn, info, debug, trace, silent, not 'inf'; did you mean 'info'?",
    "--host  proxy.host: must not be empty, but it is empty",
    "flag proxy.worker  proxy.worker: unknown key; did you mean 'workers'?",
  ]);
  t.equal(error.code, "CONFIG_INVALID");
  t.match(error.faults[0], { path: "proxy.prot", source: "file", line: 2, hint: "port" });
  t.equal(error.faults[1]!.value, "70000");
});

t.test("what a setting may hold is said whole, and what stood there beside it", async (t) => {
  const error = loader(t, {
    "sluice.yaml": [
      "redis: { url: nonsense }",
      "scheduler:",
      "  ageing: 0",
      "  tenants: { 'a b': {} }",
      "  classes:",
      "    both: { priority: 1, reservoir: { amount: 1, refresh: 1m, increase: { amount: 1, every: 1s, maximum: 2 } } }",
      "    none: { priority: 1, reservoir: { amount: 1 } }",
      "    apart: { priority: 8, bounds: [0, 4] }",
    ].join("\n"),
  }).refuse();
  t.same(error.format().split("\n"), [
    "sluice.yaml:1  redis.url: must be redis://host:port/db, with user:password@ before the host if wanted, the same with rediss://, or unix:///path with ?db, user and password if wanted",
    "sluice.yaml:3  scheduler.ageing: must be at least 1s, not 0",
    "sluice.yaml:4  scheduler.tenants.a b: this name must be 1 to 64 letters, digits or the characters _ . @ -",
    "sluice.yaml:6  scheduler.classes.both.reservoir: takes either refresh or increase, not both",
    "sluice.yaml:7  scheduler.classes.none.reservoir: needs either refresh or increase",
    "sluice.yaml:8  scheduler.classes.apart.priority: must be within the class's own bounds, 0 to 4, not 8",
  ]);
});

t.test("what is no YAML mapping is told with line and column, without quoting the text", async (t) => {
  const { cwd, refuse } = loader(t, { "sluice.yaml": "" });
  const cases: [text: string, told: RegExp][] = [
    ["proxy:\n  port: 1\n  port: 2\n", /^sluice\.yaml:3:3 {2}the key 'port' stands twice$/],
    ["a: [1\nb: 2", /^sluice\.yaml:2:\d+ {2}/],
    ["a: 'hunter2", /^sluice\.yaml:1:\d+ {2}/],
    ["\tproxy: 1", /^sluice\.yaml:1:1 {2}a tab is used for indentation/],
    ["a: 1\n---\nb: 2", /more than one document/],
    ["- hunter2", /^sluice\.yaml {2}must be a mapping of settings, not a list of 1$/],
    ["password:hunter2", /^sluice\.yaml {2}must be a mapping of settings, not text$/],
    ["proxy: *hunter2", /an alias \(\*name\) has no anchor/],
    ["proxy: {port: hunter2: 3}", /^sluice\.yaml:1:\d+ {2}/],
    [`a: ${"[".repeat(100_000)}`, /./],
    [
      "a: &a [1,1,1,1,1,1,1,1,1,1]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c,*c,*c]",
      /./,
    ],
    ["__proto__: { x: 1 }", /__proto__: unknown key/],
    ["discovery: { process: [{ name: a, command: [x], env: { __proto__: { a: b } } }] }", /unknown key/],
  ];
  for (const [text, told] of cases) {
    writeFileSync(join(cwd, "sluice.yaml"), text);
    const words = refuse().format();
    t.match(words, told, text.slice(0, 40));
    t.notMatch(words, /hunter2/);
  }
  t.equal(({} as { x?: unknown }).x, undefined);
});

t.test("a named file that is missing, a folder, not text or too large is refused", async (t) => {
  const { cwd, refuse } = loader(t, { folder: {} });
  writeFileSync(join(cwd, "latin1.yaml"), Buffer.from([0x61, 0x3a, 0x20, 0xe9]));
  writeFileSync(join(cwd, "large.yaml"), `#${"x".repeat(2 ** 20)}`);
  t.equal(refuse({ file: "nope.yaml" }).format(), "--config  nope.yaml does not exist");
  t.equal(
    (() => {
      try {
        loadConfig({ env: { SLUICE_CONFIG: "nope.yaml" }, cwd });
      } catch (caught) {
        return (caught as ConfigError).format();
      }
      return "";
    })(),
    "SLUICE_CONFIG  nope.yaml does not exist",
  );
  t.equal(refuse({ file: "folder" }).format(), "--config  folder is a folder, not a file");
  t.equal(refuse({ file: "latin1.yaml" }).format(), "--config  latin1.yaml is not UTF-8 text");
  t.equal(refuse({ file: "large.yaml" }).format(), "--config  large.yaml is larger than 1048576 bytes");
});

t.test("durations and sizes are read in every unit, and their bounds hold", async (t) => {
  const { load, refuse } = loader(t, { "sluice.yaml": "" });
  const connect = (text: unknown) => load({ flags: { "proxy.timeouts.connect": text } }).config.proxy.timeouts.connect;
  const body = (text: unknown) => load({ flags: { "proxy.max_body_size": text } }).config.proxy.max_body_size;
  for (const [text, ms] of [
    [2, 2_000],
    [0.5, 500],
    ["2", 2_000],
    ["250ms", 250],
    ["1.5s", 1_500],
    ["5m", 300_000],
    ["2h", 7_200_000],
    ["1 d", 86_400_000],
  ] as const) {
    t.equal(connect(text), ms, `${text}`);
  }
  for (const [text, bytes] of [
    [5, 5],
    ["5", 5],
    ["7B", 7],
    ["1kB", 1e3],
    ["2MB", 2e6],
    ["3GB", 3e9],
    ["1TB", 1e12],
    ["1KiB", 1024],
    ["512MiB", 512 * 2 ** 20],
    ["1.5GiB", 1.5 * 2 ** 30],
    ["1 TiB", 2 ** 40],
  ] as const) {
    t.equal(body(text), bytes, `${text}`);
  }
  for (const wrong of [
    "5 x",
    "-1",
    "",
    "1e3s",
    "ms",
    "25d",
    "100000d",
    0,
    "0.1ms",
    Number.POSITIVE_INFINITY,
    Number.NaN,
    true,
    [],
    {},
  ]) {
    t.match(refuse({ flags: { "proxy.timeouts.connect": wrong } }).faults, { length: 1 }, `${wrong}`);
  }
  for (const wrong of ["5 x", "1mb", "-1", 1.5, "9999999999TiB", null]) {
    t.match(refuse({ flags: { "proxy.max_body_size": wrong } }).faults, { length: 1 }, `${wrong}`);
  }
  for (const [port, good] of [
    [0, true],
    [65_535, true],
    [65_536, false],
    [-1, false],
    [1.5, false],
  ] as const) {
    if (good) t.equal(load({ flags: { port } }).config.proxy.port, port);
    else t.equal(refuse({ flags: { port } }).faults[0]!.path, "proxy.port");
  }
});

t.test("an unknown placeholder, a door used twice and an alias with two doors are refused", async (t) => {
  const faults = loader(t, {
    "sluice.yaml": `
proxy:
  port: 9000
  aliases:
    - { port: 9001, model: a }
    - { port: 9001, model: b }
    - { host: A.example.org, model: a }
    - { host: a.example.org, model: b }
    - { port: 9000, model: a }
    - { port: 0, model: a }
    - { port: 0, model: b }
    - { port: 9002, host: x, model: a }
discovery: { process: [{ name: a, command: [run, "{prot}", '{"json": 1}', "{port}"] }] }
`,
  })
    .refuse()
    .faults.map(({ path, message }) => `${path}: ${message}`);
  t.same(faults, [
    "proxy.aliases[1].port: the port '9001' is used twice",
    "proxy.aliases[3].host: the host 'a.example.org' is used twice",
    "proxy.aliases[4].port: is proxy.port itself",
    "proxy.aliases[7]: needs either port or host",
    "discovery.process[0].command[1]: {prot} is no placeholder; there are {name} {model_uri} {model_path} {model_type} {port} {registry_url} {sluice_home}",
  ]);
});

t.test("a model_uri of the registry names a version; those of other schemes are not looked into", async (t) => {
  const entry = (uri: string) => `{ name: a, command: [run], model_uri: "${uri}" }`;
  const loaderOf = (uri: string) => loader(t, { "sluice.yaml": `discovery: { process: [${entry(uri)}] }` });
  for (const uri of ["sluice://m/1", "sluice://a%20b/latest", "sluice://m/champion", "models:/m/1", "s3://b/?x"])
    t.equal(loaderOf(uri).load().config.discovery.process[0]!.model_uri, uri);
  for (const uri of [
    "sluice://m",
    "sluice://m/",
    "sluice://m/0",
    "sluice://../1",
    "sluice://a/b/1",
    "sluice://%2e%2e/1",
  ])
    t.match(
      loaderOf(uri).refuse().faults,
      [{ path: "discovery.process[0].model_uri", message: /^must be sluice:/ }],
      uri,
    );
});

t.test("the shipped file loads from any folder and finds the program it names", async (t) => {
  const cwd = t.testdir({});
  const { config, files, warnings } = loadConfig({ env: {}, cwd });
  t.equal(files.sluice, DEFAULT_CONFIG_FILE);
  t.equal(files.sluice, resolve(import.meta.dirname, "../../../config/sluice.yaml"));
  t.same(warnings, []);
  const [gazetteer] = config.discovery.process;
  t.equal(gazetteer?.name, "gazetteer");
  t.equal(gazetteer?.command[1], join(PACKAGE_ROOT, "dist/examples/gazetteer/main.js"));
  t.equal(config.proxy.host, "127.0.0.1");
});

t.test("binding wider than loopback warns", async (t) => {
  const { load } = loader(t, { "sluice.yaml": "" });
  for (const host of ["127.0.0.1", "127.1.2.3", "::1", "localhost"]) t.same(load({ flags: { host } }).warnings, []);
  for (const host of ["0.0.0.0", "::", "10.0.0.1"]) t.match(load({ flags: { host } }).warnings, [/no API keys/]);
});

t.test("the sidecar's socket fits a socket's limit", async (t) => {
  const { load, refuse } = loader(t, { "sluice.yaml": "" });
  const at = (flags: Record<string, unknown>) => socketPathOf(load({ flags }).config);
  t.equal(at({ dataDir: "/srv/x" }), "/srv/x/sidecar.sock");
  const deep = `/srv/${"x".repeat(100)}`;
  const other = at({ dataDir: `${deep}y` });
  t.ok(at({ dataDir: deep }).startsWith(tmpdir()));
  t.equal(at({ dataDir: deep }), at({ dataDir: deep }));
  t.not(at({ dataDir: deep }), other);
  const relative = loadConfig({ env: {}, cwd: "/srv", flags: { "sidecar.socket": "run/s.sock" } }).config;
  t.equal(socketPathOf(relative), "/srv/run/s.sock");
  t.match(refuse({ flags: { "sidecar.socket": deep } }).format(), /at most 100 bytes/);
});

t.test("the file may be JSON, and a link to a file", async (t) => {
  const { cwd, load } = loader(t, {
    "real.json": '{"proxy": {"port": 1234}}',
    link: t.fixture("symlink", "real.json"),
  });
  t.equal(load({ file: "real.json" }).config.proxy.port, 1234);
  t.equal(load({ file: join(cwd, "link") }).config.proxy.port, 1234);
});

t.test("every key the design names is accepted", async (t) => {
  const { cwd, load } = loader(t, {});
  mkdirSync(join(cwd, "x"));
  writeFileSync(
    join(cwd, "sluice.yaml"),
    `
data_dir: registry-data
proxy: { port: 8888, workers: 1, aliases: [{ port: 8180, model: medcat-snomed }, { host: deid.example.org, model: medcat-deid }] }
discovery:
  static: [{ name: medcat-snomed, url: "http://127.0.0.1:8180" }]
  docker: { enabled: auto, project: cms, network: cogstack-model-serve_cms }
scheduler:
  max_concurrent_tasks: 4
  classes:
    interactive: { priority: 2 }
    batch: { priority: 5, reservoir: { amount: 90, refresh: 1m } }
registry: { port: 9002, cache_max_items: 100 }
redis: { url: null }
`,
  );
  const { config } = load();
  t.equal(config.scheduler.classes.batch?.reservoir?.refresh, 60_000);
  t.equal(config.scheduler.classes.training?.priority, 7, "the other classes stay");
  t.ok(readFileSync(join(cwd, "sluice.yaml")));
});

t.test("settings that all have an effect are warned of by nobody", async (t) => {
  const { load } = loader(t, {
    "sluice.yaml": [
      "registry: { port: 9002, cache_max_items: 5 }",
      "labels: { ttl_label: x }",
      "models: { concurrency: 3, deployment: { auto: { default_idle_ttl: 5m, health_check_timeout: 1m } } }",
      'discovery: { process: [{ name: a, command: [x], idle_ttl: 60, model_uri: "sluice://a/latest", follow: latest }] }',
    ].join("\n"),
  });
  t.same(load().warnings, []);
});

t.test("what is followed is the latest version or an alias, of a model in the registry", async (t) => {
  const given = (uri: string, follow: string) =>
    loader(t, {
      "sluice.yaml": `discovery: { process: [{ name: a, command: [x], model_uri: "${uri}", follow: '${follow}' }] }`,
    }).load;
  t.equal(given("sluice://a/latest", "champion")().config.discovery.process[0]!.follow, "champion");
  t.throws(given("models:/a/1", "latest"), { message: /follow: needs a model_uri of the registry/ });
  t.throws(given("sluice://a/latest", "3"), { message: /follow: must be latest or an alias/ });
});
