/**
 * The configuration: one schema for the file, the environment, the flags, the editors' JSON Schema and the reference page.
 *
 * Keys are as operators write them (snake_case). Inside the process every duration is in milliseconds and every size in bytes,
 * whatever unit was written. Keys of CogStack Model Gateway stand under CMG's own paths.
 */
import { z } from "zod";
import { LOG_LEVELS } from "../core/runtime/logger.js";
import { findInconsistencies } from "./consistency.js";
import { discovery, proxy } from "./sections/edge.js";
import { cms, labels, models, tracking } from "./sections/models.js";
import { redis } from "./sections/redis.js";
import { registry } from "./sections/registry.js";
import { callbacks, results } from "./sections/upkeep.js";
import { optionalText, text } from "./sections/values.js";
import { ripper, scheduler, tasks } from "./sections/work.js";

const settings = z.strictObject({
  data_dir: text().min(1).default("registry-data").describe("Everything Sluice must not lose"),
  proxy: proxy.prefault({}).describe("The door: where clients connect"),
  sidecar: z
    .strictObject({
      socket: optionalText().describe("Unix socket of the sidecar, at most 100 bytes; null: <data_dir>/sidecar.sock"),
    })
    .prefault({})
    .describe("The process that keeps tasks and models"),
  discovery: discovery.prefault({}).describe("Which model servers there are"),
  scheduler: scheduler.prefault({}).describe("Order and limits of heavy work"),
  tasks: tasks.prefault({}).describe("What becomes of tasks"),
  results: results.prefault({}).describe("How long tasks and their results are kept"),
  callbacks: callbacks.prefault({}).describe("Webhooks: who is told of a task's end"),
  ripper: ripper.prefault({}).describe("Removing models that are past their time"),
  models: models.prefault({}).describe("Model servers in general, and how they are deployed"),
  registry: registry.prefault({}).describe("The model registry"),
  tracking: tracking.nullable().default(null).describe("MLflow as Sluice sees it; null: cms.tracking"),
  redis: redis.prefault({}).describe("Redis, for more than one sidecar"),
  log: z
    .strictObject({
      level: z
        .enum(LOG_LEVELS)
        .default("info")
        .describe("How much is logged; a reload changes the sidecar's logs alone"),
      format: z.enum(["json", "text"]).default("json").describe("json for machines, text for a person at a terminal"),
    })
    .prefault({})
    .describe("Logs, on standard output"),
  cms: cms.prefault({}).describe("CogStack ModelServe containers: how they are found and started"),
  labels: labels.prefault({}).describe("Names of the labels on containers"),
});

export const configSchema = settings.superRefine((config, context) => {
  for (const { path, message } of findInconsistencies(config)) context.addIssue({ code: "custom", path, message });
});

/** The configuration as the rest of the program gets it: complete, validated, frozen. */
export type Config = z.output<typeof configSchema>;
/** The configuration as an operator writes it. */
export type ConfigInput = z.input<typeof configSchema>;
export type ProcessModelConfig = Config["discovery"]["process"][number];
