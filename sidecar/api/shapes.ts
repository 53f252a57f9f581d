/** What goes in and out of the models' routes: the schemas bodies are held against, and OpenAPI is written from. */
import { z } from "zod";
import type {
  Deployed,
  DeployRequest,
  DeploySpec,
  ModelEvent,
  OnDemandConfig,
  OnDemandCreate,
  OnDemandUpdate,
} from "../../core/contract/model-management.js";
import { DEPLOYMENT_TYPES, MODEL_SOURCES, MODEL_STATES } from "../../core/contract/models.js";
import { laxBoolean, laxInteger, withoutNulls } from "./lax-values.js";

/** A hundred years; so that every time that follows from it is a date. */
const LONGEST_SECONDS = 3_155_760_000;

const MEMORY = /^\d+(?:\.\d+)?[kKmMgG]?$/;
const memory = z
  .string()
  .regex(MEMORY, "a size is digits, a decimal part if needed, and one of k, m, g: 512m, 1.5g")
  .describe("Bytes, or with one letter k, m or g: 512m, 1.5g");
const cpus = z.string().describe("Decimal number of processors above 0, as text: 0.5");
const gpus = z
  .union([z.literal("all"), z.int().gt(0)], "gpus is 'all' or a whole number above 0")
  .describe("`all`, or how many");

const amounts = z.object({ memory: memory.nullish(), cpus: cpus.nullish() });
const deploySpec = z.object({
  resources: z
    .object({ limits: amounts.nullish(), reservations: amounts.extend({ gpus: gpus.nullish() }).nullish() })
    .nullish(),
});

const shown = z.object({ memory: memory.exactOptional(), cpus: cpus.exactOptional() });
const shownSpec = z.object({
  resources: z
    .object({
      limits: shown.exactOptional(),
      reservations: shown.extend({ gpus: gpus.exactOptional() }).exactOptional(),
    })
    .exactOptional(),
}) satisfies z.ZodType<DeploySpec>;

const modelUri = z.string().describe("Where the model is, as MLflow names it; stronger than tracking_id");
const trackingId = z.string().describe("An MLflow run that has a model");
const idleTtl = laxInteger({ above: 0, max: LONGEST_SECONDS }).describe(
  "Seconds without use after which it is stopped",
);
const flag = (fallback: boolean, text: string) =>
  laxBoolean().optional().meta({ default: fallback, description: text });

export const deployBody = z.object({
  tracking_id: trackingId.nullish(),
  model_uri: modelUri.nullish(),
  ttl: laxInteger({ min: -1, max: LONGEST_SECONDS })
    .refine((seconds) => seconds !== 0, "ttl is -1 (for ever) or above 0")
    .nullish()
    .describe("Seconds until it is removed; -1: never; null: models.deployment.manual.default_ttl"),
});

export function deployRequest({ tracking_id, model_uri, ttl }: z.output<typeof deployBody>): DeployRequest {
  return { tracking_id: tracking_id ?? null, model_uri: model_uri ?? null, ttl: ttl ?? null };
}

const settings = {
  model_uri: modelUri.nullish(),
  tracking_id: trackingId.nullish(),
  idle_ttl: idleTtl.nullish(),
  description: z.string().nullish(),
  deploy: deploySpec.nullish().describe("Limits and reservations of its server"),
};

export const createBody = z.object({
  model_name: z.string().describe("A letter or digit, then up to 254 letters, digits, underscores, dots or hyphens"),
  ...settings,
  replace_enabled: flag(true, "Disables the enabled version of this name; false: that one is a conflict"),
  inherit_config: flag(true, "Takes what is null from the enabled version"),
});

export function createRequest(body: z.output<typeof createBody>): OnDemandCreate {
  const { model_name, replace_enabled, inherit_config } = body;
  return {
    model_name,
    ...settingsOf(body),
    replace_enabled: replace_enabled ?? true,
    inherit_config: inherit_config ?? true,
  };
}

export const updateBody = z.object({
  ...settings,
  clear_tracking_id: flag(false, "Removes it"),
  clear_idle_ttl: flag(false, "Sets models.deployment.auto.default_idle_ttl"),
  clear_description: flag(false, "Removes it"),
  clear_deploy: flag(false, "Removes it"),
});

export function updateRequest(body: z.output<typeof updateBody>): OnDemandUpdate {
  return {
    ...settingsOf(body),
    clear_tracking_id: body.clear_tracking_id ?? false,
    clear_idle_ttl: body.clear_idle_ttl ?? false,
    clear_description: body.clear_description ?? false,
    clear_deploy: body.clear_deploy ?? false,
  };
}

type Settings = z.output<z.ZodObject<typeof settings>>;

function settingsOf({ model_uri, tracking_id, idle_ttl, description, deploy }: Settings) {
  return {
    model_uri: model_uri ?? null,
    tracking_id: tracking_id ?? null,
    idle_ttl: idle_ttl ?? null,
    description: description ?? null,
    deploy: deploy === null || deploy === undefined ? null : withoutNulls(deploy),
  };
}

export const deployed = z.object({
  message: z.string(),
  model_uri: z.string(),
  container_id: z.string().describe("Docker's id, or `process-<pid>`"),
  container_name: z.string(),
  ttl: z.int().describe("Seconds, as applied; -1: for ever"),
}) satisfies z.ZodType<Deployed>;

const wireTime = z.string().meta({ format: "date-time" });

export const onDemandConfig = z.object({
  id: z.int(),
  model_name: z.string(),
  model_uri: z.string(),
  tracking_id: z.string().exactOptional(),
  idle_ttl: z.int().gt(0).describe("Seconds"),
  description: z.string().exactOptional(),
  enabled: z.boolean(),
  created_at: wireTime,
  updated_at: wireTime,
  deploy: shownSpec.exactOptional(),
}) satisfies z.ZodType<OnDemandConfig>;

export const onDemandList = z.object({ configs: z.array(onDemandConfig), total: z.int() });

/** CMG's model object; members without a value are left out. */
export const modelObject = z.object({
  name: z.string(),
  uri: z.string().exactOptional(),
  is_running: z.boolean(),
  description: z.string().exactOptional(),
  model_type: z.string().exactOptional(),
  deployment_type: z.enum(DEPLOYMENT_TYPES).exactOptional(),
  idle_ttl: z.int().exactOptional().describe("Seconds; of a model that does not run and is started on demand"),
  runtime: z.record(z.string(), z.unknown()).exactOptional().describe("The model server's own /info"),
  tracking: z.record(z.string(), z.unknown()).exactOptional().describe("What MLflow knows of the URI"),
});
export type ModelObject = z.output<typeof modelObject>;

export const modelLists = z.object({ running: z.array(modelObject), on_demand: z.array(modelObject) });

/** A model as operators see it. */
export const modelState = z.object({
  name: z.string(),
  state: z.enum(MODEL_STATES),
  source: z.enum(MODEL_SOURCES),
  deployment_type: z.enum(DEPLOYMENT_TYPES),
  on_demand: z.boolean().describe("A request may start it"),
  concurrency: z.int().describe("Queued or gated calls it gets at a time"),
  uri: z.string().nullable(),
  model_type: z.string().nullable(),
  description: z.string().nullable(),
  server_id: z.string().nullable().describe("Docker's id, or `process-<pid>`, of what Sluice started"),
  idle_ttl: z.number().nullable().describe("Seconds; null: never stopped for idleness"),
  expires_at: wireTime.nullable().describe("When it is removed; null: never"),
  problem: z.string().nullable(),
});
export type ModelState = z.output<typeof modelState>;

export const modelStates = z.object({ models: z.array(modelState) });

export const modelEvent = z.object({
  model: z.string(),
  at: wireTime,
  state: z.string(),
  problem: z.string().nullable(),
  started_seconds: z.number().nullable().describe("While it starts: seconds since its start"),
  expected_seconds: z.number().nullable().describe("While it starts: how long the longest known start took"),
}) satisfies z.ZodType<ModelEvent>;
