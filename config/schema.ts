/**
 * The configuration: one schema for the file, the environment, the flags, the editors' JSON Schema and the reference page.
 *
 * Keys are as operators write them (snake_case). Inside the process every duration is in milliseconds and every size in bytes,
 * whatever unit was written. Keys of CogStack Model Gateway stand under CMG's own paths.
 */
import { z } from "zod";
import { MODEL_NAME } from "../core/contract/models.js";
import { DEFAULT_ROUTES, ROUTE_MODES } from "../core/contract/routes.js";
import { LOG_LEVELS } from "../core/runtime/logger.js";

const DURATION = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)?$/;
const DURATION_UNITS_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const SIZE = /^(\d+(?:\.\d+)?)\s?(B|kB|MB|GB|TB|KiB|MiB|GiB|TiB)?$/;
const SIZE_UNITS_BYTES = {
  B: 1,
  kB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
} as const;

/** A duration: a number of seconds, or text such as `90s`, `5m`, `250ms`; milliseconds inside. */
function duration(minMs = 0) {
  return z
    .union([
      z.number().nonnegative(),
      z.string().regex(DURATION, "must be seconds or a duration such as 90s, 5m, 250ms"),
    ])
    .meta({ unit: "duration" })
    .transform((value) => {
      if (typeof value === "number") return value * 1_000;
      const [, amount, unit] = DURATION.exec(value)!;
      return Number(amount) * DURATION_UNITS_MS[(unit ?? "s") as keyof typeof DURATION_UNITS_MS];
    })
    .refine((ms) => ms >= minMs, { error: `must be at least ${minMs} ms` });
}

/** A size: a number of bytes, or text such as `512MiB`; bytes inside. */
function size() {
  return z
    .union([z.number().int().nonnegative(), z.string().regex(SIZE, "must be bytes or a size such as 512MiB")])
    .transform((value) => {
      if (typeof value === "number") return value;
      const [, amount, unit] = SIZE.exec(value)!;
      return Math.floor(Number(amount) * SIZE_UNITS_BYTES[(unit ?? "B") as keyof typeof SIZE_UNITS_BYTES]);
    });
}

const port = () => z.number().int().min(0).max(65_535);
const modelName = () =>
  z
    .string()
    .regex(MODEL_NAME, "must begin with a letter or digit and hold only letters, digits, '_', '.', '-' (at most 255)");
const url = () =>
  z
    .string()
    .regex(
      /^https?:\/\/[^/?#\s@]+[^?#\s]*$/,
      "must be an http:// or https:// URL without credentials, query or fragment",
    )
    .transform((value) => value.replace(/\/+$/, ""));
const priority = () => z.number().int().min(0).max(9);

/** Marks a value that is masked wherever the configuration is shown. */
export const SECRET = { secret: true } as const;
const secret = () => z.string().meta(SECRET);

const alias = z
  .strictObject({
    port: port().nullable().default(null).describe("A port of its own for this model"),
    host: z.string().nullable().default(null).describe("A host name (the request's Host without port) for this model"),
    model: modelName(),
  })
  .refine((value) => (value.port === null) !== (value.host === null), { error: "needs either port or host" });

const proxy = z.strictObject({
  host: z
    .string()
    .min(1)
    .default("127.0.0.1")
    .describe("Address to listen on; there are no API keys yet, so wider than loopback warns"),
  port: port().default(8888).describe("HTTP port; 0 takes a free one"),
  workers: z.number().int().min(1).max(64).default(1).describe("Proxy processes"),
  aliases: z
    .array(alias)
    .default([])
    .describe("Ports or host names under which one model answers without /models/<name>"),
  max_body_size: size()
    .default(8 * 2 ** 30)
    .describe("Largest request body, light or heavy; above it 413"),
  timeouts: z
    .strictObject({
      connect: duration(1).default(10_000).describe("Connecting to a model server"),
      headers: duration(1).default(30_000).describe("A client's request line and headers"),
      body: duration(1).default(60_000).describe("Silence inside a body that is being written down"),
      response: duration(1)
        .default(900_000)
        .describe("From the request's end to a model server's first byte; bulk routes compute everything first"),
      idle: duration(1)
        .default(900_000)
        .describe("Silence inside a light request or answer; above the 300 s of CMS's event streams"),
      drain: duration().default(30_000).describe("For what is in flight when Sluice stops"),
    })
    .prefault({}),
});

const discovery = z.strictObject({
  static: z
    .array(
      z.strictObject({
        name: modelName(),
        url: url(),
        concurrency: z
          .number()
          .int()
          .min(1)
          .nullable()
          .default(null)
          .describe("Queued or gated calls at a time; null: models.concurrency"),
      }),
    )
    .default([])
    .describe("Model servers that somebody else runs"),
  process: z
    .array(
      z.strictObject({
        name: modelName(),
        command: z
          .array(z.string().min(1))
          .min(1)
          .describe(
            "Program and arguments, never a shell line; {name} {model_uri} {model_path} {model_type} {port} are filled in",
          ),
        port: port().default(0).describe("Port it is told to listen on; 0 takes a free one"),
        env: z.record(z.string(), z.string()).default({}).describe("Added to the environment; the same placeholders"),
        cwd: z.string().nullable().default(null).describe("Working folder; null: Sluice's own"),
        model_uri: z.string().nullable().default(null),
        model_type: z.string().nullable().default(null),
        idle_ttl: duration(1_000).nullable().default(null).describe("Stopped after this long without use; null: never"),
        follow: z.string().nullable().default(null).describe("Registry version or alias to follow"),
        concurrency: z.number().int().min(1).nullable().default(null),
      }),
    )
    .default([])
    .describe("Model servers that Sluice starts at the first request"),
  docker: z
    .strictObject({
      enabled: z
        .union([z.boolean(), z.literal("auto")])
        .default("auto")
        .describe("auto: when the socket answers"),
      project: z.string().min(1).nullable().default(null).describe("Compose project; null: cms.project_name"),
      network: z
        .string()
        .min(1)
        .nullable()
        .default(null)
        .describe("Network on which model servers are reached; null: cms.network"),
      socket: z.string().min(1).default("/var/run/docker.sock"),
    })
    .prefault({}),
  probe_interval: duration(100).default(1_000).describe("Between readiness checks of a model that is not ready yet"),
  recheck_interval: duration(100).default(10_000).describe("Between checks of a model that is ready"),
});

const schedulerClass = z.strictObject({
  priority: priority().describe("0 (most urgent) to 9"),
  bounds: z.tuple([priority(), priority()]).default([0, 9]).describe("X-Sluice-Priority is clamped to these"),
  deadline: duration(1).nullable().default(null).describe("How long a task may wait; null: for ever"),
  reservoir: z
    .strictObject({ amount: z.number().int().min(1), refresh: duration(1) })
    .nullable()
    .default(null)
    .describe("The class's budget: amount starts per refresh"),
});

const DEFAULT_CLASSES = {
  interactive: { priority: 2 },
  batch: { priority: 5 },
  evaluation: { priority: 6 },
  training: { priority: 7 },
} as const;

const scheduler = z.strictObject({
  max_concurrent_tasks: z
    .number()
    .int()
    .min(1)
    .default(4)
    .describe("Queued and gated calls at a time, over all models"),
  classes: z
    .record(z.string().min(1), schedulerClass)
    .default({})
    .transform((given) => ({
      ...Object.fromEntries(Object.entries(DEFAULT_CLASSES).map(([name, each]) => [name, schedulerClass.parse(each)])),
      ...given,
    }))
    .describe("Added to, or in place of, interactive 2, batch 5, evaluation 6, training 7"),
  routes: z
    .record(
      z.string().min(1),
      z.strictObject({ mode: z.enum(ROUTE_MODES), class: z.string().min(1).default("interactive") }),
    )
    .default({})
    .transform((given) => ({ ...DEFAULT_ROUTES, ...given }))
    .describe("Which requests are queued or gated; added to the default table"),
  ageing: duration(1_000).default(60_000).describe("A waiting task gains one rank per this"),
  queue: z
    .strictObject({
      max_tasks: z.number().int().min(1).default(100_000),
      max_bytes: size().default(10 * 2 ** 30),
    })
    .prefault({})
    .describe("Bounds on what waits; above them 429"),
});

const tasks = z.strictObject({
  cancel_on_hang_up: z.boolean().default(true).describe("A caller that hangs up cancels its task while it still waits"),
});

const trackingKeys = {
  uri: z.string().default("http://mlflow-ui:5000"),
  username: z.string().default("admin"),
  password: secret().default("password"),
  s3: z
    .strictObject({
      access_key_id: secret().nullable().default(null),
      secret_access_key: secret().nullable().default(null),
      endpoint_url: z.string().default("http://minio:9000"),
    })
    .prefault({}),
  enable_system_metrics_logging: z.boolean().default(true),
};

const models = z.strictObject({
  concurrency: z.number().int().min(1).default(1).describe("Queued or gated calls one model server gets at a time"),
  deployment: z
    .strictObject({
      driver: z
        .enum(["docker", "process"])
        .nullable()
        .default(null)
        .describe("null: docker where a daemon answers, else process"),
      process: z
        .strictObject({
          command: z.array(z.string().min(1)).min(1),
          env: z.record(z.string(), z.string()).default({}),
          cwd: z.string().nullable().default(null),
        })
        .nullable()
        .default(null),
      auto: z
        .strictObject({
          health_check_timeout: duration(1).default(300_000).describe("A start may take this long"),
          default_idle_ttl: duration(1).default(3_600_000),
          max_concurrent_deployments: z.number().int().min(1).nullable().default(null),
          deployment_retry_attempts: z.number().int().min(0).default(2),
          require_model_uri_validation: z.boolean().default(false),
        })
        .prefault({}),
      manual: z
        .strictObject({
          default_ttl: duration(1).default(86_400_000),
          allow_ttl_override: z.boolean().default(true),
          max_ttl: duration(1).nullable().default(null),
          require_model_uri_validation: z.boolean().default(false),
        })
        .prefault({}),
      static: z.strictObject({}).prefault({}),
      use_ip_addresses: z.boolean().default(false),
    })
    .prefault({}),
});

const cms = z.strictObject({
  host_url: z.string().default(""),
  project_name: z.string().min(1).default("cms"),
  server_port: port().default(8000),
  network: z.string().min(1).default("cogstack-model-serve_cms"),
  image: z.string().min(1).default("cogstacksystems/cogstack-modelserve:latest"),
  volumes: z.record(z.string(), z.string()).default({ "retrained-models": "/app/model/retrained" }),
  gelf_input_uri: z.string().default("http://graylog:12201"),
  enable_evaluation_apis: z.boolean().default(true),
  enable_previews_apis: z.boolean().default(true),
  enable_training_apis: z.boolean().default(true),
  publish_ports: z.boolean().default(false),
  tracking: z.strictObject(trackingKeys).prefault({}),
  auth: z
    .strictObject({
      user_enabled: z.boolean().default(false),
      jwt_secret: secret().nullable().default(null),
      access_token_expire_seconds: z.number().int().min(1).default(3600),
      database_url: secret().default("sqlite+aiosqlite:///./cms-users.db"),
    })
    .prefault({}),
  proxy: z
    .strictObject({
      http_proxy: secret().nullable().default(null),
      https_proxy: secret().nullable().default(null),
      no_proxy: z.string().default("mlflow-ui,minio,graylog,auth-db,localhost"),
    })
    .prefault({}),
  health_check: z
    .strictObject({
      interval: z.number().int().min(1).default(90),
      timeout: z.number().int().min(1).default(10),
      retries: z.number().int().min(0).default(3),
      start_period: z.number().int().min(1).default(60),
    })
    .nullable()
    .default(null),
});

const labels = z.strictObject({
  cms_model_label: z.string().min(1).default("org.cogstack.model-serve"),
  cms_model_uri_label: z.string().min(1).default("org.cogstack.model-serve.uri"),
  deployment_type_label: z.string().min(1).default("org.cogstack.model-gateway.deployment-type"),
  managed_by_label: z.string().min(1).default("org.cogstack.model-gateway.managed-by"),
  managed_by_value: z.string().min(1).default("cmg"),
  ttl_label: z.string().min(1).default("org.cogstack.model-gateway.ttl"),
});

const registry = z.strictObject({
  host: z.string().min(1).nullable().default(null),
  port: port().default(9002),
  grpc_reflection: z.boolean().default(false),
  archive_dir: z.string().min(1).nullable().default(null),
  cache_max_items: z.number().int().min(1).default(100),
  cache_max_bytes: size().default(2 ** 30),
  sent_version_chunk_size: size().default(2 * 2 ** 20),
  max_version_size: size().nullable().default(null),
  log_level: z.string().nullable().default(null),
  log_file: z.string().nullable().default(null),
  directory_endpoint: z.string().nullable().default(null),
  directory_authentication_token: secret().nullable().default(null),
  directory_registration_host: z.string().nullable().default(null),
  directory_registration_properties: z.string().default(""),
});

export const configSchema = z
  .strictObject({
    data_dir: z.string().min(1).default("registry-data").describe("Everything Sluice must not lose"),
    proxy: proxy.prefault({}),
    sidecar: z
      .strictObject({
        socket: z
          .string()
          .min(1)
          .nullable()
          .default(null)
          .describe("Unix socket of the sidecar; null: <data_dir>/sidecar.sock"),
      })
      .prefault({}),
    discovery: discovery.prefault({}),
    scheduler: scheduler.prefault({}),
    tasks: tasks.prefault({}),
    ripper: z
      .strictObject({ interval: duration(1_000).default(60_000).describe("Between looks for models past their time") })
      .prefault({}),
    models: models.prefault({}),
    registry: registry.prefault({}),
    tracking: z.strictObject(trackingKeys).nullable().default(null).describe("MLflow; null: cms.tracking"),
    redis: z.strictObject({ url: secret().nullable().default(null) }).prefault({}),
    log: z
      .strictObject({
        level: z.enum(LOG_LEVELS).default("info"),
        format: z.enum(["json", "text"]).default("json"),
      })
      .prefault({}),
    cms: cms.prefault({}),
    labels: labels.prefault({}),
  })
  .superRefine((config, context) => {
    const seen = new Set<string>();
    for (const source of ["static", "process"] as const) {
      config.discovery[source].forEach((entry, index) => {
        if (seen.has(entry.name)) {
          context.addIssue({
            code: "custom",
            path: ["discovery", source, index, "name"],
            message: `the name '${entry.name}' is used twice`,
          });
        }
        seen.add(entry.name);
      });
    }
    for (const [route, rule] of Object.entries(config.scheduler.routes)) {
      if (!Object.hasOwn(config.scheduler.classes, rule.class)) {
        context.addIssue({
          code: "custom",
          path: ["scheduler", "routes", route, "class"],
          message: `there is no class '${rule.class}' in scheduler.classes`,
        });
      }
    }
    for (const [name, each] of Object.entries(config.scheduler.classes)) {
      if (each.bounds[0] > each.bounds[1]) {
        context.addIssue({
          code: "custom",
          path: ["scheduler", "classes", name, "bounds"],
          message: "the first bound must not be above the second",
        });
      }
    }
  });

/** The configuration as the rest of the program gets it: complete, validated, frozen. */
export type Config = z.output<typeof configSchema>;
/** The configuration as an operator writes it. */
export type ConfigInput = z.input<typeof configSchema>;
export type SchedulerClass = Config["scheduler"]["classes"][string];
export type ProcessModelConfig = Config["discovery"]["process"][number];
export type StaticModelConfig = Config["discovery"]["static"][number];
