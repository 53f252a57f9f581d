/** Model servers that Sluice starts at the first request, as the configuration names them. Pure. */
import type { Config, ProcessModelConfig } from "../../../config/schema.js";
import type { ServerDefinition } from "../server.js";

export function defineProcess(entry: ProcessModelConfig, config: Config): ServerDefinition {
  return {
    name: entry.name,
    source: "process",
    url: null,
    address: null,
    onDemand: true,
    concurrency: entry.concurrency ?? config.models.concurrency,
    modelType: entry.model_type,
    modelUri: entry.model_uri,
    deploymentType: "auto",
    problem: null,
  };
}
