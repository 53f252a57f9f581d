/** Keys of CogStack Model Gateway's configuration file (reference cmg-api 4.1, 4.3). What shapes a container is held elsewhere. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Loader } from "../config/loader.js";
import type { Row, Table } from "./table.js";

interface Key {
  readonly key: string;
  readonly says: string;
  /** As loaded: times in milliseconds. */
  readonly byDefault: unknown;
  /** A value as CMG's file may hold it, and as loaded where that differs. */
  readonly given: unknown;
  readonly loaded?: unknown;
  /** What is refused at the start. */
  readonly refused?: readonly unknown[];
  readonly differs?: string;
}

const LABEL = "org.cogstack.model-gateway";
const KEYS: readonly Key[] = [
  {
    key: "cms.host_url",
    says: "base of model servers behind a proxy; left out it means https://proxy/cms, empty is direct; null is refused",
    byDefault: "https://proxy/cms",
    given: "",
    refused: [null],
  },
  { key: "cms.project_name", says: "compose project", byDefault: "cms", given: "other" },
  { key: "cms.server_port", says: "port in the container", byDefault: 8000, given: 9000, refused: ["x", 1.5] },
  { key: "cms.network", says: "Docker network", byDefault: "cogstack-model-serve_cms", given: "other" },
  { key: "cms.image", says: "image", byDefault: "cogstacksystems/cogstack-modelserve:latest", given: "own:1" },
  {
    key: "cms.volumes",
    says: "volume to path",
    byDefault: { "retrained-models": "/app/model/retrained" },
    given: { a: "/a", b: "/b" },
  },
  { key: "cms.gelf_input_uri", says: "log sink", byDefault: "http://graylog:12201", given: "http://g:1" },
  ...["evaluation", "previews", "training"].map((what) => ({
    key: `cms.enable_${what}_apis`,
    says: `${what} routes on or off`,
    byDefault: true,
    given: false,
    refused: [null],
  })),
  { key: "cms.tracking.uri", says: "MLflow", byDefault: "http://mlflow-ui:5000", given: "http://m:1" },
  { key: "cms.tracking.username", says: "its user", byDefault: "admin", given: "u" },
  { key: "cms.tracking.password", says: "its password", byDefault: "password", given: "p" },
  { key: "cms.tracking.s3.access_key_id", says: "artifact store's key", byDefault: null, given: "k" },
  { key: "cms.tracking.s3.secret_access_key", says: "artifact store's secret", byDefault: null, given: "s" },
  { key: "cms.tracking.s3.endpoint_url", says: "artifact store", byDefault: "http://minio:9000", given: "http://s:1" },
  {
    key: "cms.tracking.enable_system_metrics_logging",
    says: "MLflow records the machine's load",
    byDefault: true,
    given: false,
  },
  { key: "cms.auth.user_enabled", says: "model servers ask users to log in", byDefault: false, given: true },
  { key: "cms.auth.jwt_secret", says: "their signing key", byDefault: null, given: "j" },
  {
    key: "cms.auth.access_token_expire_seconds",
    says: "life of a token, above 0",
    byDefault: 3600,
    given: 60,
    refused: [0, -1],
  },
  {
    key: "cms.auth.database_url",
    says: "their user database",
    byDefault: "sqlite+aiosqlite:///./cms-users.db",
    given: "postgresql://x",
  },
  { key: "cms.proxy.http_proxy", says: "HTTP_PROXY of model servers", byDefault: null, given: "http://p:1" },
  { key: "cms.proxy.https_proxy", says: "HTTPS_PROXY of model servers", byDefault: null, given: "http://p:2" },
  {
    key: "cms.proxy.no_proxy",
    says: "NO_PROXY of model servers",
    byDefault: "mlflow-ui,minio,graylog,auth-db,localhost",
    given: "a,b",
  },
  {
    key: "cms.health_check.interval",
    says: "Docker's health check: 90 s, above 0",
    differs: "no health check unless the section is there: Sluice probes by itself, and a slim image has no curl",
    byDefault: undefined,
    given: 30,
    refused: [0],
  },
  { key: "cms.health_check.timeout", says: "10 s, above 0", byDefault: undefined, given: 5, refused: [0] },
  { key: "cms.health_check.retries", says: "3, 0 or more", byDefault: undefined, given: 0, refused: [-1] },
  { key: "cms.health_check.start_period", says: "60 s, above 0", byDefault: undefined, given: 9, refused: [0] },
  {
    key: "models.deployment.auto.health_check_timeout",
    says: "a start may take this long: 300 s, above 0",
    byDefault: 300_000,
    given: 20,
    loaded: 20_000,
    refused: [0, -1, "soon"],
  },
  {
    key: "models.deployment.auto.default_idle_ttl",
    says: "3600 s, above 0",
    byDefault: 3_600_000,
    given: 90,
    loaded: 90_000,
    refused: [0],
  },
  {
    key: "models.deployment.auto.max_concurrent_deployments",
    says: "above 0 or null; declared and never read",
    differs: "it works: so many starts at a time",
    byDefault: null,
    given: 2,
    refused: [0],
  },
  {
    key: "models.deployment.auto.deployment_retry_attempts",
    says: "2, 0 or more; declared and never read",
    differs: "it works: a failed start is tried again so often",
    byDefault: 2,
    given: 0,
    refused: [-1],
  },
  {
    key: "models.deployment.auto.require_model_uri_validation",
    says: "MLflow must know the URI of a configuration",
    byDefault: false,
    given: true,
  },
  {
    key: "models.deployment.manual.default_ttl",
    says: "86400 s, above 0; -1 is not allowed here",
    byDefault: 86_400_000,
    given: 60,
    loaded: 60_000,
    refused: [0, -1],
  },
  { key: "models.deployment.manual.allow_ttl_override", says: "clients may name a ttl", byDefault: true, given: false },
  {
    key: "models.deployment.manual.max_ttl",
    says: "longest ttl of a client, above 0, or null",
    byDefault: null,
    given: 604_800,
    loaded: 604_800_000,
    refused: [0, -1],
  },
  {
    key: "models.deployment.manual.require_model_uri_validation",
    says: "MLflow must know the URI of a deployment",
    byDefault: false,
    given: true,
  },
  { key: "models.deployment.static", says: "an object with nothing in it", byDefault: {}, given: {} },
  {
    key: "models.deployment.use_ip_addresses",
    says: "containers are reached by address",
    byDefault: false,
    given: true,
  },
  { key: "labels.cms_model_label", says: "label", byDefault: "org.cogstack.model-serve", given: "x.m" },
  { key: "labels.cms_model_uri_label", says: "label", byDefault: "org.cogstack.model-serve.uri", given: "x.u" },
  { key: "labels.deployment_type_label", says: "label", byDefault: `${LABEL}.deployment-type`, given: "x.d" },
  { key: "labels.managed_by_label", says: "label", byDefault: `${LABEL}.managed-by`, given: "x.b" },
  { key: "labels.managed_by_value", says: "its value", byDefault: "cmg", given: "us" },
  { key: "labels.ttl_label", says: "label", byDefault: `${LABEL}.ttl`, given: "x.t" },
];

function nest(key: string, value: unknown): object {
  return key.split(".").reduceRight<unknown>((inner, name) => ({ [name]: inner }), value) as object;
}

function at(config: unknown, key: string): unknown {
  return key.split(".").reduce<unknown>((outer, name) => (outer as Record<string, unknown> | null)?.[name], config);
}

/** Loads a file of CMG's. */
function loadFile({ cwd, load }: Loader, content: unknown) {
  writeFileSync(join(cwd, "config.json"), typeof content === "string" ? content : JSON.stringify(content));
  return load({ env: { CONFIG_FILE: "config.json" } });
}

const eachKey: Row<Loader>[] = KEYS.map(({ key, says, differs, byDefault, given, refused = [], ...more }) => ({
  id: `file-${key}`,
  says: `${key}: ${says}`,
  ...(differs === undefined ? {} : { differs }),
  check: (t, loader) => {
    t.strictSame(at(loadFile(loader, {}).config, key), byDefault, "its default");
    t.strictSame(at(loadFile(loader, nest(key, given)).config, key), more.loaded ?? given, "its value");
    for (const value of refused) {
      const fault = new RegExp(`config\\.json.*${key}`);
      t.throws(() => loadFile(loader, nest(key, value)), { message: fault }, `${JSON.stringify(value)} is refused`);
    }
  },
}));

export const CONFIG_FILE: Table<Loader> = {
  id: "config-file",
  title: "Keys of the configuration file",
  rows: [
    ...eachKey,
    {
      id: "file-tracking",
      says: "tracking: as cms.tracking, which always replaces it",
      differs: "it is honoured: the gateway's own MLflow, cms.tracking where it is left out",
      check: (t, loader) => {
        const content = { cms: { tracking: { uri: "http://of-cms" } }, tracking: { uri: "http://own" } };
        t.equal(loadFile(loader, content).config.tracking?.uri, "http://own");
        t.equal(loadFile(loader, { cms: content.cms }).config.tracking ?? null, null);
      },
    },
    {
      id: "file-sections",
      says: "only cms, models, labels and tracking are read; unknown keys are ignored",
      check: (t, loader) => {
        const { config, warnings } = loadFile(loader, {
          scheduler: { max_concurrent_tasks: 9 },
          ripper: { interval: 1 },
          cms: { host_url: "", nonsense: 1 },
        });
        t.not(config.scheduler.max_concurrent_tasks, 9);
        t.equal(config.ripper.interval, 60_000);
        t.match(warnings.join(), /ignored.*cms\.nonsense.*scheduler.*ripper|ignored.*scheduler.*ripper.*cms\.nonsense/);
      },
    },
    {
      id: "file-comments",
      says: "comments are not allowed",
      differs: "comments and trailing commas are understood, as the shipped example has them",
      check: (t, loader) => {
        const { config } = loadFile(loader, '{ // why\n "cms": { "host_url": "", /* so */ "server_port": 7, }, }');
        t.equal(config.cms.server_port, 7);
      },
    },
    {
      id: "file-broken",
      says: "a file that is no JSON, or breaks a rule, stops the start",
      check: (t, loader) => {
        t.throws(() => loadFile(loader, '{"cms": '), { message: /config\.json/ });
        t.throws(() => loadFile(loader, "[]"), { message: /config\.json/ });
      },
    },
    {
      id: "file-missing",
      says: "a file that is missing: a warning, and defaults",
      check: (t, { load }) => {
        const { config, warnings } = load({ env: { CONFIG_FILE: "nowhere.json" } });
        t.equal(config.cms.server_port, 8000);
        t.match(warnings.join(), /nowhere\.json does not exist/);
      },
    },
  ],
};
