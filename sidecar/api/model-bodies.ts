/** What the routes of models take: the schemas that bodies are held against, and OpenAPI is written from. */
import { z } from "zod";
import type { DeployRequest, OnDemandCreate, OnDemandUpdate } from "../../core/contract/model-management.js";
import { LONGEST_TTL_SECONDS, MEMORY } from "../models/deploy-spec.js";
import { laxBoolean, laxInteger, plainText, withoutNulls } from "./lax-values.js";

export const memory = z
  .string()
  .regex(MEMORY, "a size is digits, a decimal part if needed, and one of k, m, g: 512m, 1.5g")
  .describe("Bytes, or with one letter k, m or g: 512m, 1.5g");
export const cpus = plainText().describe("Decimal number of processors above 0, as text: 0.5");
export const gpus = z
  .union([z.literal("all"), z.int().gt(0)], "gpus is 'all' or a whole number above 0")
  .describe("`all`, or how many");

const amounts = z.object({ memory: memory.nullish(), cpus: cpus.nullish() });
const deploySpec = z.object({
  resources: z
    .object({ limits: amounts.nullish(), reservations: amounts.extend({ gpus: gpus.nullish() }).nullish() })
    .nullish(),
});

/** With three bytes a character still below the 128 KiB that Linux takes as one argument. */
const MAX_URI_LENGTH = 32_000;

const modelUri = plainText()
  .max(MAX_URI_LENGTH)
  .describe("Where the model is, as MLflow names it; stronger than tracking_id");
const trackingId = plainText().max(MAX_URI_LENGTH).describe("An MLflow run that has a model");
const idleTtl = laxInteger({ above: 0, max: LONGEST_TTL_SECONDS }).describe(
  "Seconds without use after which it is stopped",
);
const flag = (fallback: boolean, text: string) =>
  laxBoolean().optional().meta({ default: fallback, description: text });

export const deployBody = z.object({
  tracking_id: trackingId.nullish(),
  model_uri: modelUri.nullish(),
  ttl: laxInteger({ min: -1, max: LONGEST_TTL_SECONDS })
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
  description: plainText().nullish(),
  deploy: deploySpec.nullish().describe("Limits and reservations of its server"),
  follow: laxBoolean()
    .nullish()
    .describe(
      "A running server is replaced when `latest` or the alias in model_uri means another version; null: as it is",
    ),
};

export const createBody = z.object({
  model_name: plainText().describe("A letter or digit, then up to 254 letters, digits, underscores, dots or hyphens"),
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

function settingsOf({ model_uri, tracking_id, idle_ttl, description, deploy, follow }: Settings) {
  return {
    model_uri: model_uri ?? null,
    tracking_id: tracking_id ?? null,
    idle_ttl: idle_ttl ?? null,
    description: description ?? null,
    deploy: deploy === null || deploy === undefined ? null : withoutNulls(deploy),
    follow: follow ?? null,
  };
}
