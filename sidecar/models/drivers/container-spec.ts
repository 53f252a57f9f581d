/**
 * The container a model server runs in, as Docker's API takes it (reference: CogStack ModelServe's own conventions). Pure.
 *
 * Image, command and limits come from the configuration and the model's own deploy settings; whatever came in a request stands in
 * one argument, one variable or one label, and is never looked into.
 */
import { basename } from "node:path";
import type { Config } from "../../../config/schema.js";
import { networkOf, PROJECT_LABEL, projectOf, SERVICE_LABEL } from "../discovery/containers.js";
import type { ManagedModel } from "../managed-model.js";
import { fillIn } from "../placeholders.js";
import { limitsOf, type ServerLimits } from "./limits.js";

/** The part of Docker's create parameters that is used. */
export interface ContainerSpec {
  readonly Image: string;
  readonly Cmd: readonly string[];
  readonly Env: readonly string[];
  readonly Labels: Readonly<Record<string, string>>;
  readonly ExposedPorts?: Readonly<Record<string, object>>;
  readonly Healthcheck?: HealthCheck;
  readonly HostConfig: HostSettings;
}

interface HealthCheck {
  readonly Test: readonly string[];
  /** Nanoseconds, as the next two. */
  readonly Interval: number;
  readonly Timeout: number;
  readonly StartPeriod: number;
  readonly Retries: number;
}

interface HostSettings {
  readonly NetworkMode: string;
  readonly Mounts: readonly Mount[];
  readonly Memory?: number;
  readonly MemoryReservation?: number;
  readonly NanoCpus?: number;
  readonly DeviceRequests?: readonly { readonly Count: number; readonly Capabilities: readonly string[][] }[];
  readonly PortBindings?: Readonly<Record<string, readonly { readonly HostPort: string }[]>>;
}

interface Mount {
  readonly Type: "volume" | "bind";
  readonly Source: string;
  readonly Target: string;
  readonly ReadOnly?: true;
}

/** Taken where nobody knows a model's type, as CogStack Model Gateway does. */
const FALLBACK_TYPE = "medcat_umls";
const NANOSECONDS = 1e9;

/** Where a package of the registry stands in a container, under its file's name. */
const PACKAGE_FOLDER = "/app/model/package";

export interface SpecOptions {
  readonly config: Config;
  /** Epoch ms: a deployment's label says how long it may live from here. */
  readonly now: number;
  /** See {@link Package.file}; null for a model without one. */
  readonly packageFile: string | null;
}

export function containerSpec(model: ManagedModel, { config, now, packageFile }: SpecOptions): ContainerSpec {
  const { cms } = config;
  const inside = packageFile === null ? null : `${PACKAGE_FOLDER}/${basename(packageFile)}`;
  const type = model.modelType ?? FALLBACK_TYPE;
  const port = `${cms.server_port}/tcp`;
  return {
    Image: imageOf(model, config),
    Cmd: cms.command.map((part) =>
      fillIn(part, {
        name: model.name,
        // CogStack ModelServe reads packages by MLflow's URIs, a file's among them.
        model_uri: inside === null ? (model.modelUri ?? "") : `file://${inside}`,
        model_path: inside ?? "",
        model_type: type,
        port: String(cms.server_port),
        registry_url: "",
      }),
    ),
    Env: Object.entries(environment(model.name, type, cms)).map(([name, value]) => `${name}=${value ?? ""}`),
    Labels: labelsOf(model, config, now),
    ...(cms.publish_ports ? { ExposedPorts: { [port]: {} } } : {}),
    ...(cms.health_check === null ? {} : { Healthcheck: healthCheck(cms.health_check, cms.server_port) }),
    HostConfig: {
      NetworkMode: networkOf(config),
      Mounts: [
        ...Object.entries(cms.volumes).map(([source, target]) => mount(source, target)),
        ...(inside === null
          ? []
          : [{ Type: "bind" as const, Source: packageFile!, Target: inside, ReadOnly: true as const }]),
      ],
      ...resources(limitsOf(model.deploy), gpusOf(type, cms)),
      // An empty port: Docker takes a free one, on all interfaces.
      ...(cms.publish_ports ? { PortBindings: { [port]: [{ HostPort: "" }] } } : {}),
    },
  };
}

export function imageOf(model: ManagedModel, { cms }: Config): string {
  return ownOf(model.modelType ?? FALLBACK_TYPE, cms)?.image ?? cms.image;
}

function ownOf(type: string, cms: Config["cms"]): Config["cms"]["types"][string] | undefined {
  return Object.hasOwn(cms.types, type) ? cms.types[type] : undefined;
}

function gpusOf(type: string, cms: Config["cms"]): "all" | number | null {
  return ownOf(type, cms)?.gpus ?? cms.gpus;
}

function labelsOf(model: ManagedModel, config: Config, now: number): Record<string, string> {
  const { labels } = config;
  return {
    [PROJECT_LABEL]: projectOf(config),
    [SERVICE_LABEL]: model.name,
    [labels.cms_model_label]: model.name,
    [labels.cms_model_uri_label]: model.pinned?.modelUri ?? model.modelUri ?? "",
    [labels.ttl_label]: String(ttlSeconds(model, now)),
    [labels.managed_by_label]: labels.managed_by_value,
    [labels.deployment_type_label]: model.deploymentType,
  };
}

/** An automatic one's counts from its last use, a manual one's from the container's creation. -1: for ever. */
function ttlSeconds(model: ManagedModel, now: number): number {
  if (model.deploymentType === "auto") return model.idleTtlMs === null ? -1 : Math.ceil(model.idleTtlMs / 1_000);
  return model.expiresAtMs === null ? -1 : Math.max(1, Math.ceil((model.expiresAtMs - now) / 1_000));
}

function environment(name: string, type: string, cms: Config["cms"]): Record<string, string | number | boolean | null> {
  const { auth, proxy, tracking } = cms;
  return {
    CMS_MODEL_NAME: name,
    CMS_MODEL_TYPE: type,
    ENABLE_TRAINING_APIS: cms.enable_training_apis,
    ENABLE_EVALUATION_APIS: cms.enable_evaluation_apis,
    ENABLE_PREVIEWS_APIS: cms.enable_previews_apis,
    AWS_ACCESS_KEY_ID: tracking.s3.access_key_id,
    AWS_SECRET_ACCESS_KEY: tracking.s3.secret_access_key,
    MLFLOW_S3_ENDPOINT_URL: tracking.s3.endpoint_url,
    MLFLOW_TRACKING_URI: tracking.uri,
    MLFLOW_TRACKING_USERNAME: tracking.username,
    MLFLOW_TRACKING_PASSWORD: tracking.password,
    MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING: tracking.enable_system_metrics_logging,
    GELF_INPUT_URI: cms.gelf_input_uri,
    AUTH_USER_ENABLED: auth.user_enabled,
    AUTH_JWT_SECRET: auth.jwt_secret,
    AUTH_ACCESS_TOKEN_EXPIRE_SECONDS: auth.access_token_expire_seconds,
    AUTH_DATABASE_URL: auth.database_url,
    HTTP_PROXY: proxy.http_proxy,
    HTTPS_PROXY: proxy.https_proxy,
    NO_PROXY: proxy.no_proxy,
    http_proxy: proxy.http_proxy,
    https_proxy: proxy.https_proxy,
    no_proxy: proxy.no_proxy,
  };
}

/** A mount's parts stand in fields of their own: no colon in them means anything. */
function mount(source: string, target: string): Mount {
  return { Type: source.startsWith("/") ? "bind" : "volume", Source: source, Target: target };
}

function resources(limits: ServerLimits, configuredGpus: "all" | number | null): Partial<HostSettings> {
  const { memoryBytes, reservedMemoryBytes, nanoCpus } = limits;
  const gpus = limits.gpus ?? configuredGpus ?? 0;
  return {
    ...(memoryBytes === null ? {} : { Memory: memoryBytes }),
    ...(reservedMemoryBytes === null ? {} : { MemoryReservation: reservedMemoryBytes }),
    ...(nanoCpus === null ? {} : { NanoCpus: nanoCpus }),
    ...(gpus === 0 ? {} : { DeviceRequests: [{ Count: gpus === "all" ? -1 : gpus, Capabilities: [["gpu"]] }] }),
  };
}

function healthCheck(settings: NonNullable<Config["cms"]["health_check"]>, port: number): HealthCheck {
  return {
    Test: ["CMD", "curl", "-f", `http://localhost:${port}/info`],
    Interval: settings.interval * NANOSECONDS,
    Timeout: settings.timeout * NANOSECONDS,
    StartPeriod: settings.start_period * NANOSECONDS,
    Retries: settings.retries,
  };
}
