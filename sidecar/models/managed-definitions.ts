/** Which models Sluice itself starts and stops, joined from everything that names one, and what follows for their servers. Pure. */
import type { Config, ProcessModelConfig } from "../../config/schema.js";
import type { ModelSource } from "../../core/contract/models.js";
import type { ManagedModel } from "./managed-model.js";
import type { Deployment, OnDemandVersion } from "./model-store.js";
import { openReference } from "./pin.js";
import type { ServerDefinition } from "./server.js";

export interface DefinitionSources {
  readonly config: Config;
  readonly deployments: readonly Deployment[];
  /** Those in force. */
  readonly onDemand: readonly OnDemandVersion[];
  /** Names of running servers that somebody else runs: nothing is started on demand beside them. */
  readonly taken: ReadonlySet<string>;
}

/** One model per name: an entry of the configuration wins over a deployment, a deployment over an on-demand configuration. */
export function joinDefinitions({ config, deployments, onDemand, taken }: DefinitionSources): ManagedModel[] {
  const byName = new Map<string, ManagedModel>();
  const isStatic = new Set(config.discovery.static.map(({ name }) => name));
  const weaker = [
    ...deployments.map(ofDeployment),
    ...onDemand.filter(({ modelName }) => !taken.has(modelName)).map(ofOnDemand),
  ];
  for (const model of [
    ...config.discovery.process.map(ofConfig),
    ...weaker.filter(({ name }) => !isStatic.has(name)),
  ]) {
    if (!byName.has(model.name)) byName.set(model.name, model);
  }
  return [...byName.values()];
}

function ofConfig(entry: ProcessModelConfig): ManagedModel {
  return {
    name: entry.name,
    origin: "config",
    deploymentType: "auto",
    modelUri: entry.model_uri,
    follow: entry.follow,
    pinned: null,
    modelType: entry.model_type,
    description: null,
    idleTtlMs: entry.idle_ttl,
    expiresAtMs: null,
    deploy: null,
  };
}

function ofDeployment(row: Deployment): ManagedModel {
  return {
    name: row.name,
    origin: "deployment",
    deploymentType: row.deploymentType,
    modelUri: row.modelUri,
    follow: null,
    pinned: null,
    modelType: row.modelType,
    description: null,
    idleTtlMs: row.idleTtlSeconds === null ? null : row.idleTtlSeconds * 1_000,
    expiresAtMs: row.ttlSeconds === null ? null : row.createdAtMs + row.ttlSeconds * 1_000,
    deploy: row.deploy,
  };
}

function ofOnDemand(version: OnDemandVersion): ManagedModel {
  return {
    name: version.modelName,
    origin: "on-demand",
    deploymentType: "auto",
    modelUri: version.modelUri,
    follow: version.follow ? openReference(version.modelUri) : null,
    pinned: null,
    modelType: null,
    description: version.description,
    idleTtlMs: version.idleTtlSeconds * 1_000,
    expiresAtMs: null,
    deploy: version.deploy,
  };
}

/** What is said of its server. */
export function defineServer(
  model: ManagedModel,
  source: Exclude<ModelSource, "static">,
  config: Config,
): ServerDefinition {
  return {
    name: model.name,
    source,
    url: null,
    address: null,
    onDemand: true,
    concurrency: entryOf(model, config)?.concurrency ?? config.models.concurrency,
    modelType: model.modelType,
    modelUri: model.pinned?.modelUri ?? model.modelUri,
    deploymentType: model.deploymentType,
    problem: null,
  };
}

/** How its process is started; null where nothing says that. */
export function processOf(model: ManagedModel, config: Config): ProcessModelConfig | null {
  if (model.origin === "config") return entryOf(model, config) ?? null;
  const template = config.models.deployment.process;
  if (template === null) return null;
  return {
    ...template,
    name: model.name,
    port: 0,
    model_uri: model.modelUri,
    model_type: model.modelType,
    idle_ttl: null,
    follow: null,
    concurrency: null,
    rate_limit: null,
  };
}

function entryOf({ name, origin }: ManagedModel, config: Config): ProcessModelConfig | undefined {
  return origin === "config" ? config.discovery.process.find((entry) => entry.name === name) : undefined;
}
