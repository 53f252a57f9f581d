/** Model servers that Sluice starts at the first request, as the configuration names them. */
import type { Config, ProcessModelConfig } from "../../../config/schema.js";
import { SluiceError } from "../../../core/contract/errors.js";
import { PLACEHOLDERS, unknownPlaceholders } from "../placeholders.js";
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

/** @throws CONFIG_INVALID naming every placeholder that there is not */
export function checkPlaceholders(config: Config): void {
  const faults = config.discovery.process.flatMap((entry) => {
    const unknown = unknownPlaceholders([...entry.command, ...Object.values(entry.env)]);
    return unknown.map((word) => `discovery.process '${entry.name}': unknown placeholder {${word}}`);
  });
  if (faults.length === 0) return;
  const known = PLACEHOLDERS.map((word) => `{${word}}`).join(" ");
  throw new SluiceError("CONFIG_INVALID", faults.join("; "), { hint: `There are ${known}.` });
}
