import t from "tap";
import type { ConfigInput } from "../../../../config/schema.js";
import type { DeploySpec } from "../../../../core/contract/model-management.js";
import { type ContainerSpec, containerSpec } from "../../../../sidecar/models/drivers/container-spec.js";
import { formatMemory } from "../../../../sidecar/models/drivers/limits.js";
import type { ManagedModel } from "../../../../sidecar/models/managed-model.js";
import { configOf } from "../support.js";
import { modelOf } from "./docker-rig.js";

const NOW = 1_700_000_000_000;
const specOf = (given: ConfigInput = {}, model: Partial<ManagedModel> = {}): ContainerSpec =>
  containerSpec(modelOf("medcat", model), { config: configOf(given), now: NOW, packageFile: null });
const environmentOf = ({ Env }: ContainerSpec) =>
  Object.fromEntries(Env.map((each) => [each.slice(0, each.indexOf("=")), each.slice(each.indexOf("=") + 1)]));

t.test("with the defaults the container is the one CogStack Model Gateway makes, without a shell", async (t) => {
  const { Env, ...spec } = specOf();
  t.strictSame(spec, {
    Image: "cogstacksystems/cogstack-modelserve:latest",
    Cmd: [
      "/.venv/bin/python",
      "cli/cli.py",
      "serve",
      "--model-type=medcat_snomed",
      "--model-name=medcat",
      "--mlflow-model-uri=models:/medcat/1",
      "--host=0.0.0.0",
      "--port=8000",
    ],
    Labels: {
      "com.docker.compose.project": "cms",
      "com.docker.compose.service": "medcat",
      "org.cogstack.model-serve": "medcat",
      "org.cogstack.model-serve.uri": "models:/medcat/1",
      "org.cogstack.model-gateway.ttl": "-1",
      "org.cogstack.model-gateway.managed-by": "cmg",
      "org.cogstack.model-gateway.deployment-type": "manual",
    },
    HostConfig: {
      NetworkMode: "cogstack-model-serve_cms",
      Mounts: [{ Type: "volume", Source: "retrained-models", Target: "/app/model/retrained" }],
    },
  });
  t.strictSame(environmentOf({ ...spec, Env }), {
    CMS_MODEL_NAME: "medcat",
    CMS_MODEL_TYPE: "medcat_snomed",
    ENABLE_TRAINING_APIS: "true",
    ENABLE_EVALUATION_APIS: "true",
    ENABLE_PREVIEWS_APIS: "true",
    AWS_ACCESS_KEY_ID: "",
    AWS_SECRET_ACCESS_KEY: "",
    MLFLOW_S3_ENDPOINT_URL: "http://minio:9000",
    MLFLOW_TRACKING_URI: "http://mlflow-ui:5000",
    MLFLOW_TRACKING_USERNAME: "admin",
    MLFLOW_TRACKING_PASSWORD: "password",
    MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING: "true",
    GELF_INPUT_URI: "http://graylog:12201",
    AUTH_USER_ENABLED: "false",
    AUTH_JWT_SECRET: "",
    AUTH_ACCESS_TOKEN_EXPIRE_SECONDS: "3600",
    AUTH_DATABASE_URL: "sqlite+aiosqlite:///./cms-users.db",
    HTTP_PROXY: "",
    HTTPS_PROXY: "",
    NO_PROXY: "mlflow-ui,minio,graylog,auth-db,localhost",
    http_proxy: "",
    https_proxy: "",
    no_proxy: "mlflow-ui,minio,graylog,auth-db,localhost",
  });
});

const project = "com.docker.compose.project";
/** One row per key that shapes a container: the setting, and the part of the container it shapes. */
const KEYS: readonly (readonly [ConfigInput, object])[] = [
  [{ cms: { project_name: "dev" } }, { Labels: { [project]: "dev" } }],
  [{ discovery: { docker: { enabled: false, project: "p" } } }, { Labels: { [project]: "p" } }],
  [{ cms: { network: "n" } }, { HostConfig: { NetworkMode: "n" } }],
  [{ discovery: { docker: { enabled: false, network: "d" } } }, { HostConfig: { NetworkMode: "d" } }],
  [{ cms: { image: "own:1" } }, { Image: "own:1" }],
  [
    { cms: { volumes: { "a:b": "/x:y", "/host": "/in" } } },
    {
      HostConfig: {
        Mounts: [
          { Type: "volume", Source: "a:b", Target: "/x:y" },
          { Type: "bind", Source: "/host", Target: "/in" },
        ],
      },
    },
  ],
  [
    { cms: { publish_ports: true, server_port: 9000 } },
    { ExposedPorts: { "9000/tcp": {} }, HostConfig: { PortBindings: { "9000/tcp": [{ HostPort: "" }] } } },
  ],
  [
    { cms: { health_check: {}, server_port: 9000 } },
    {
      Healthcheck: {
        Test: ["CMD", "curl", "-f", "http://localhost:9000/info"],
        Interval: 90e9,
        Timeout: 10e9,
        Retries: 3,
        StartPeriod: 60e9,
      },
    },
  ],
  [
    { cms: { health_check: { interval: 1, timeout: 2, retries: 0, start_period: 4 } } },
    { Healthcheck: { Interval: 1e9, Timeout: 2e9, Retries: 0, StartPeriod: 4e9 } },
  ],
  [{ cms: { gpus: "all" } }, { HostConfig: { DeviceRequests: [{ Count: -1, Capabilities: [["gpu"]] }] } }],
  [{ cms: { gpus: 2 } }, { HostConfig: { DeviceRequests: [{ Count: 2 }] } }],
  [
    { cms: { types: { medcat_snomed: { image: "typed", gpus: 1 }, other: { image: "no" } } } },
    { Image: "typed", HostConfig: { DeviceRequests: [{ Count: 1 }] } },
  ],
  [{ cms: { gpus: 4, types: { medcat_snomed: { gpus: 1 } } } }, { HostConfig: { DeviceRequests: [{ Count: 1 }] } }],
  [{ cms: { command: ["serve", "{port}/{name}"], server_port: 7 } }, { Cmd: ["serve", "7/medcat"] }],
  [
    {
      labels: {
        cms_model_label: "l.model",
        cms_model_uri_label: "l.uri",
        deployment_type_label: "l.type",
        managed_by_label: "l.by",
        managed_by_value: "us",
        ttl_label: "l.ttl",
      },
    },
    {
      Labels: {
        "l.model": "medcat",
        "l.uri": "models:/medcat/1",
        "l.type": "manual",
        "l.by": "us",
        "l.ttl": "-1",
      },
    },
  ],
];

t.test("each key of the configuration shapes its part of the container", async (t) => {
  for (const [given, part] of KEYS) t.match(specOf(given), part, JSON.stringify(given));
});

/** One row per key that becomes a variable. */
const VARIABLES: readonly (readonly [NonNullable<ConfigInput["cms"]>, Record<string, string>])[] = [
  [{ gelf_input_uri: "udp://x" }, { GELF_INPUT_URI: "udp://x" }],
  [{ enable_training_apis: false }, { ENABLE_TRAINING_APIS: "false" }],
  [{ enable_evaluation_apis: false }, { ENABLE_EVALUATION_APIS: "false" }],
  [{ enable_previews_apis: false }, { ENABLE_PREVIEWS_APIS: "false" }],
  [{ tracking: { uri: "http://m" } }, { MLFLOW_TRACKING_URI: "http://m" }],
  [{ tracking: { username: "u=1" } }, { MLFLOW_TRACKING_USERNAME: "u=1" }],
  [{ tracking: { password: "p\nq" } }, { MLFLOW_TRACKING_PASSWORD: "p\nq" }],
  [{ tracking: { s3: { access_key_id: "k" } } }, { AWS_ACCESS_KEY_ID: "k" }],
  [{ tracking: { s3: { secret_access_key: "s" } } }, { AWS_SECRET_ACCESS_KEY: "s" }],
  [{ tracking: { s3: { endpoint_url: "http://s3" } } }, { MLFLOW_S3_ENDPOINT_URL: "http://s3" }],
  [{ tracking: { enable_system_metrics_logging: false } }, { MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING: "false" }],
  [{ auth: { user_enabled: true } }, { AUTH_USER_ENABLED: "true" }],
  [{ auth: { jwt_secret: "j" } }, { AUTH_JWT_SECRET: "j" }],
  [{ auth: { access_token_expire_seconds: 5 } }, { AUTH_ACCESS_TOKEN_EXPIRE_SECONDS: "5" }],
  [{ auth: { database_url: "d" } }, { AUTH_DATABASE_URL: "d" }],
  [{ proxy: { http_proxy: "http://p" } }, { HTTP_PROXY: "http://p", http_proxy: "http://p" }],
  [{ proxy: { https_proxy: "http://q" } }, { HTTPS_PROXY: "http://q", https_proxy: "http://q" }],
  [{ proxy: { no_proxy: "x" } }, { NO_PROXY: "x", no_proxy: "x" }],
];

t.test("each key that model servers read becomes its variables", async (t) => {
  for (const [cms, variables] of VARIABLES) t.match(environmentOf(specOf({ cms })), variables, JSON.stringify(cms));
});

t.test("a model's own deploy settings limit it, and its GPUs win over the configuration's", async (t) => {
  const hostOf = (resources: NonNullable<DeploySpec["resources"]>, given: ConfigInput = {}) =>
    specOf(given, { deploy: { resources } }).HostConfig;
  t.match(hostOf({ limits: { memory: "512m", cpus: "1.5" }, reservations: { memory: "256m", cpus: "4" } }), {
    Memory: 512 * 2 ** 20,
    MemoryReservation: 256 * 2 ** 20,
    NanoCpus: 1.5e9,
  });
  t.match(hostOf({ reservations: { gpus: "all" } }), { DeviceRequests: [{ Count: -1 }] });
  t.match(hostOf({ reservations: { gpus: 3 } }, { cms: { gpus: 1 } }), { DeviceRequests: [{ Count: 3 }] });
  t.notHas(hostOf({ reservations: { gpus: 0 } }, { cms: { gpus: 1 } }), { DeviceRequests: [] }, "0 is a value");
  t.notOk("Memory" in hostOf({}));
});

t.test("the ttl label is what CogStack Model Gateway's reaper reads", async (t) => {
  const ttl = (model: Partial<ManagedModel>) => specOf({}, model).Labels["org.cogstack.model-gateway.ttl"];
  t.equal(ttl({ deploymentType: "auto", idleTtlMs: 90_000 }), "90");
  t.equal(ttl({ deploymentType: "auto", idleTtlMs: null }), "-1");
  t.equal(ttl({ deploymentType: "manual", expiresAtMs: NOW + 86_400_000 }), "86400");
  t.equal(ttl({ deploymentType: "manual", expiresAtMs: NOW - 5 }), "1", "one that is due is not one for ever");
  t.equal(specOf({}, { deploymentType: "auto" }).Labels["org.cogstack.model-gateway.deployment-type"], "auto");
});

t.test("a type that nobody knows is medcat_umls; a prototype's word is no configured type", async (t) => {
  const spec = specOf({ cms: { types: { medcat_umls: { image: "umls" } } } }, { modelType: null });
  t.equal(spec.Image, "umls");
  t.ok(spec.Cmd.includes("--model-type=medcat_umls"));
  t.equal(environmentOf(spec).CMS_MODEL_TYPE, "medcat_umls");
  t.equal(specOf({}, { modelType: "constructor" }).Image, "cogstacksystems/cogstack-modelserve:latest");
});

t.test("whatever a request brought stands in one argument, one variable and one label, as it is", async (t) => {
  const hostile = [
    "$(touch /tmp/x)",
    "`id`; rm -rf / #",
    "--host=6.6.6.6",
    "two\nlines\0null",
    "{port} {name} {model_uri}",
    "a b 'c' \"d\"",
    "",
    "x".repeat(10_240),
  ];
  for (const value of hostile) {
    const plain = specOf();
    const spec = specOf({}, { modelUri: value, modelType: value });
    t.equal(spec.Cmd.length, plain.Cmd.length);
    t.equal(spec.Cmd[5], `--mlflow-model-uri=${value}`);
    t.equal(spec.Cmd[3], `--model-type=${value}`);
    t.equal(spec.Env.length, plain.Env.length);
    t.ok(spec.Env.includes(`CMS_MODEL_TYPE=${value}`));
    t.equal(spec.Labels["org.cogstack.model-serve.uri"], value);
    t.equal(spec.Image, plain.Image);
    t.strictSame(spec.HostConfig, plain.HostConfig);
  }
});

t.test("amounts of memory are told in the larger unit that fits", async (t) => {
  t.equal(formatMemory(512 * 2 ** 20), "512 MiB");
  t.equal(formatMemory(1.5 * 2 ** 30), "1.5 GiB");
});

t.test(
  "a package of the registry is one file, read-only, under its own name; the label says which version it is",
  async (t) => {
    const model = modelOf("medcat", {
      modelUri: "sluice://medcat/latest",
      pinned: { modelUri: "sluice://medcat/7", modelId: "medcat", versionNumber: 7 },
    });
    const config = configOf({ cms: { command: ["run", "{model_path}", "--mlflow-model-uri={model_uri}"] } });
    const spec = containerSpec(model, { config, now: NOW, packageFile: "/data/archive/1-medcat/v000007.data" });
    t.strictSame(spec.Cmd, [
      "run",
      "/app/model/package/v000007.data",
      "--mlflow-model-uri=file:///app/model/package/v000007.data",
    ]);
    t.strictSame(spec.HostConfig.Mounts.at(-1), {
      Type: "bind",
      Source: "/data/archive/1-medcat/v000007.data",
      Target: "/app/model/package/v000007.data",
      ReadOnly: true,
    });
    t.equal(spec.Labels["org.cogstack.model-serve.uri"], "sluice://medcat/7");
    t.equal(specOf({}, { modelUri: "s3://m" }).HostConfig.Mounts.length, 1, "no other model gets such a mount");
  },
);
