/** `models`, `cms`, `labels` and `tracking`: CogStack Model Gateway's own keys under its own paths, and ours beside them. */
import { z } from "zod";
import {
  command,
  containerCommand,
  count,
  duration,
  gpus,
  LONGEST_AGE_MS,
  modelName,
  port,
  rateLimit,
  secret,
  size,
  template,
  text,
  variables,
} from "./values.js";

const auto = z.strictObject({
  health_check_timeout: duration(1).prefault("5m").describe("A start may take this long"),
  default_idle_ttl: duration(1, LONGEST_AGE_MS)
    .prefault("1h")
    .describe("Stopped after this long without use, unless its own configuration says otherwise"),
  max_concurrent_deployments: count().nullable().default(null).describe("Starts at a time; null: no limit"),
  deployment_retry_attempts: count(0).default(2).describe("A failed start is tried again this often"),
  require_model_uri_validation: z.boolean().default(false).describe("Check a model_uri before it is accepted"),
});

const manual = z.strictObject({
  default_ttl: duration(1, LONGEST_AGE_MS).prefault("1d").describe("Removed this long after its creation"),
  allow_ttl_override: z.boolean().default(true).describe("A deployment may name its own ttl"),
  max_ttl: duration(1, LONGEST_AGE_MS).nullable().default(null).describe("Longest ttl allowed; null: any"),
  require_model_uri_validation: z.boolean().default(false).describe("Check a model_uri before it is accepted"),
});

export const models = z.strictObject({
  concurrency: count().default(1).describe("Queued or gated calls one model server gets at a time"),
  rate_limit: rateLimit().describe(
    "How often one model server is called; CMS's own 180, 90 and 10 a minute act as 90, 45 and 5; null: learned from its 429s",
  ),
  logs_over_http: z
    .boolean()
    .default(false)
    .describe("GET /admin/models/<name>/logs answers through the proxy too; the logs may hold notes"),
  deployment: z
    .strictObject({
      driver: z
        .enum(["docker", "process"])
        .nullable()
        .default(null)
        .describe("What starts model servers; null: docker where a daemon answers, else process"),
      process: z
        .strictObject({
          command: command(),
          env: variables(),
          cwd: template()
            .min(1)
            .nullable()
            .default(null)
            .describe("Working folder, {sluice_home} is filled in; null: Sluice's own"),
        })
        .nullable()
        .default(null)
        .describe("How the process driver starts a model server that is deployed or on demand"),
      auto: auto.prefault({}).describe("Models started on demand"),
      manual: manual.prefault({}).describe("Models deployed by hand"),
      memory: z
        .strictObject({
          budget: size(1)
            .nullable()
            .default(null)
            .describe(
              "Model servers that Sluice runs get this much together: one that does not fit waits; null: no limit",
            ),
          default: size()
            .nullable()
            .default(null)
            .describe("Counted for a model whose configuration names no memory; null: nothing"),
        })
        .prefault({})
        .describe("Memory of model servers, as their configurations claim it"),
      never_together: z
        .array(z.array(modelName()).min(2))
        .default([])
        .describe("Groups of models of which one at a time runs, such as those that need the one GPU"),
      static: z.strictObject({}).prefault({}).describe("Nothing yet; CMG's file may hold it"),
      use_ip_addresses: z
        .boolean()
        .default(false)
        .describe(
          "Below cms.host_url: <host_url>/<address>, not <host_url>/<name>; without it containers are always reached by address",
        ),
    })
    .prefault({})
    .describe("Starting and stopping model servers"),
});

const s3 = z.strictObject({
  access_key_id: secret().nullable().default(null).describe("Key for the artifact store"),
  secret_access_key: secret().nullable().default(null).describe("Secret for the artifact store"),
  endpoint_url: text().default("http://minio:9000").describe("The artifact store's address"),
});

const systemMetrics = z.boolean().default(true);

const server = {
  uri: text()
    .default("http://mlflow-ui:5000")
    .describe(
      "MLflow's address: asked for the runs of trainings where it is http:// or https://, and the link in their results",
    ),
  username: text().default("admin").describe("MLflow's user; empty: none is sent"),
  password: secret().default("password").describe("MLflow's password"),
  ca_file: text()
    .min(1)
    .nullable()
    .default(null)
    .describe("Certificates (PEM) that MLflow's is checked against; null: the public ones"),
};

export const tracking = z.strictObject({
  ...server,
  s3: s3.prefault({}).describe("Not used: what reaches model servers is cms.tracking.s3"),
  enable_system_metrics_logging: systemMetrics.describe(
    "Not used: what reaches model servers is cms.tracking.enable_system_metrics_logging",
  ),
});

const trackingOfServers = z.strictObject({
  ...server,
  s3: s3.prefault({}).describe("MLflow's artifact store"),
  enable_system_metrics_logging: systemMetrics.describe("MLflow records the machine's load with each run"),
});

const auth = z.strictObject({
  user_enabled: z.boolean().default(false).describe("Model servers ask their users to log in"),
  jwt_secret: secret().nullable().default(null).describe("Key model servers sign tokens with"),
  access_token_expire_seconds: count().default(3600).describe("Life of such a token, in seconds"),
  database_url: secret().default("sqlite+aiosqlite:///./cms-users.db").describe("Model servers' user database"),
});

const healthCheck = z.strictObject({
  interval: count().default(90).describe("Seconds between checks"),
  timeout: count().default(10).describe("Seconds a check may take"),
  retries: count(0).default(3).describe("Failures until unhealthy"),
  start_period: count().default(60).describe("Seconds of grace after the start"),
});

export const cms = z.strictObject({
  host_url: text()
    .default("")
    .describe("Base of model servers behind a proxy, <host_url>/<name>; empty: each is reached directly"),
  project_name: text().min(1).default("cms").describe("Compose project model servers belong to"),
  server_port: port().default(8000).describe("Port model servers listen on in their containers"),
  network: text().min(1).default("cogstack-model-serve_cms").describe("Docker network of the model servers"),
  image: text()
    .min(1)
    .default("cogstacksystems/cogstack-modelserve:latest")
    .describe("Image that model servers are started from; pulled when it is missing, without a log-in"),
  command: containerCommand().default([
    "/.venv/bin/python",
    "cli/cli.py",
    "serve",
    "--model-type={model_type}",
    "--model-name={name}",
    "--mlflow-model-uri={model_uri}",
    "--host=0.0.0.0",
    "--port={port}",
  ]),
  gpus: gpus().nullable().default(null).describe('GPUs of a model server: "all" or how many; null: none'),
  types: z
    .record(
      z.string().min(1),
      z.strictObject({
        image: text().min(1).nullable().default(null).describe("Image of this type; null: cms.image"),
        gpus: gpus().nullable().default(null).describe("GPUs of this type; null: cms.gpus"),
      }),
    )
    .default({})
    .describe("Model type (medcat_umls, huggingface_ner, ...) to what is its own"),
  volumes: z
    .record(z.string().min(1), z.string().min(1))
    .default({ "retrained-models": "/app/model/retrained" })
    .describe("Docker volume to path in a model server's container"),
  gelf_input_uri: text().default("http://graylog:12201").describe("Where model servers send their logs"),
  enable_evaluation_apis: z.boolean().default(true).describe("Model servers offer evaluation"),
  enable_previews_apis: z.boolean().default(true).describe("Model servers offer previews"),
  enable_training_apis: z.boolean().default(true).describe("Model servers offer training"),
  publish_ports: z.boolean().default(false).describe("Publish model servers' ports on the host"),
  tracking: trackingOfServers.prefault({}).describe("MLflow as model servers see it"),
  auth: auth.prefault({}).describe("Log-in of model servers"),
  proxy: z
    .strictObject({
      http_proxy: secret().nullable().default(null).describe("HTTP_PROXY of model servers"),
      https_proxy: secret().nullable().default(null).describe("HTTPS_PROXY of model servers"),
      no_proxy: text().default("mlflow-ui,minio,graylog,auth-db,localhost").describe("NO_PROXY of model servers"),
    })
    .prefault({})
    .describe("Web proxy of model servers"),
  health_check: healthCheck
    .nullable()
    .default(null)
    .describe("Docker's own health check; null: none, Sluice probes by itself"),
});

export const labels = z.strictObject({
  cms_model_label: text().min(1).default("org.cogstack.model-serve").describe("Label holding a model's name"),
  cms_model_uri_label: text().min(1).default("org.cogstack.model-serve.uri").describe("Label holding a model's URI"),
  deployment_type_label: text()
    .min(1)
    .default("org.cogstack.model-gateway.deployment-type")
    .describe("Label holding auto, manual or static"),
  managed_by_label: text()
    .min(1)
    .default("org.cogstack.model-gateway.managed-by")
    .describe("Label saying who started a container"),
  managed_by_value: text().min(1).default("cmg").describe("Its value for containers Sluice may stop"),
  ttl_label: text()
    .min(1)
    .default("org.cogstack.model-gateway.ttl")
    .describe("Label holding the time to live in seconds"),
});
