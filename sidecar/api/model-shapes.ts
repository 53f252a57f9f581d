/** What the routes of models answer with; OpenAPI is written from it. */
import { z } from "zod";
import type {
  Deployed,
  DeploySpec,
  ModelEvent,
  ModelTracking,
  OnDemandConfig,
} from "../../core/contract/model-management.js";
import { DEPLOYMENT_TYPES, MODEL_SOURCES, MODEL_STATES } from "../../core/contract/models.js";
import { ROLLOUT_PHASES } from "../models/rollout-state.js";
import { cpus, gpus, memory } from "./model-bodies.js";

const shown = z.object({ memory: memory.exactOptional(), cpus: cpus.exactOptional() });
const shownSpec = z.object({
  resources: z
    .object({
      limits: shown.exactOptional(),
      reservations: shown.extend({ gpus: gpus.exactOptional() }).exactOptional(),
    })
    .exactOptional(),
}) satisfies z.ZodType<DeploySpec>;

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
  follow: z.literal(true).exactOptional().describe("A running server is replaced when its URI means another version"),
}) satisfies z.ZodType<OnDemandConfig>;

export const onDemandList = z.object({ configs: z.array(onDemandConfig), total: z.int() });

const tracking = z
  .object({
    uuid: z.string(),
    run_id: z.string(),
    artifact_path: z.string(),
    utc_time_created: z.string(),
    mlflow_version: z.string(),
    signature: z.record(z.string(), z.unknown()),
    flavors: z.record(z.string(), z.unknown()),
  })
  .describe("What MLflow knows of the URI") satisfies z.ZodType<ModelTracking>;

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
  tracking: tracking.exactOptional(),
});
export type ModelObject = z.output<typeof modelObject>;

export const modelLists = z.object({ running: z.array(modelObject), on_demand: z.array(modelObject) });

const rollout = z
  .object({
    follows: z.string().describe("`latest` or the alias"),
    wanted: z.string().nullable().describe("The version that is now; null: none that can be deployed"),
    phase: z.enum(ROLLOUT_PHASES).describe("`failed`: the wanted version does not run, and the one before serves on"),
    problem: z.string().nullable().describe("What it waits for, or why it failed"),
    former_servers: z.int().describe("Servers that were replaced and are still in use"),
  })
  .describe("How a model that follows a version is brought to it");

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
  rollout: rollout.nullable(),
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
