/** The models, put together: what MLflow knows of them, the catalogue, what operators do with them, what is counted. */
import type { Config } from "../config/schema.js";
import type { Clock } from "../core/runtime/clock.js";
import type { HttpClient } from "../core/runtime/http.js";
import type { Logger } from "../core/runtime/logger.js";
import type { SidecarMetrics } from "./metrics.js";
import { planDeployment } from "./models/deployments.js";
import type { ModelManagement } from "./models/management.js";
import { createModelCatalogue, type ManagedCatalogue } from "./models/model-catalogue.js";
import { createModelKnowledge, type ModelKnowledge } from "./models/model-knowledge.js";
import { createModelManagement } from "./models/model-management.js";
import { createModelMetrics } from "./models/model-metrics.js";
import { createOnDemandConfigs } from "./models/on-demand.js";
import { createPackages } from "./models/packages.js";
import { createReferences } from "./models/references.js";
import type { Registry } from "./registry/registry.js";
import { deployRulesOf, onDemandSettingsOf } from "./settings.js";
import type { OpenTasks } from "./tasks/open-tasks.js";
import type { Mlflow } from "./tracking/mlflow.js";

export interface ModelsOptions {
  readonly tasks: Pick<OpenTasks, "store" | "models">;
  readonly metrics: Pick<SidecarMetrics, "registry">;
  /** Null where there is none that can be asked. */
  readonly mlflow: Mlflow | null;
  /** Null where there is none to deploy from. */
  readonly registry: Registry | null;
  readonly http: HttpClient;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Asked whenever a setting is used: a reload takes effect at once. */
  readonly config: () => Config;
}

export interface Models {
  /** Not started yet; stopped by whoever starts it. */
  readonly catalogue: ManagedCatalogue;
  readonly management: ModelManagement;
  readonly knowledge: ModelKnowledge;
}

export function openModels({ tasks, metrics, mlflow, registry, http, clock, logger, config }: ModelsOptions): Models {
  const store = tasks.models;
  const log = logger.child("sidecar.models");
  const knowledge = createModelKnowledge(mlflow, clock);
  const packages = createPackages(registry);
  const references = createReferences(mlflow, packages);
  const modelMetrics = createModelMetrics(metrics.registry);
  const catalogue = createModelCatalogue({
    config: config(),
    dataDir: config().data_dir,
    store,
    needOf: (model) => tasks.store.needOf(model),
    modelTypeOf: (modelUri) => knowledge.modelType(modelUri),
    packages,
    observer: modelMetrics,
    http,
    clock,
    logger: log,
  });
  modelMetrics.watch(catalogue);
  registry?.onChange(() => catalogue.managed.rollouts.look());
  registry?.followUses(() => catalogue.managed.servers.uses);
  const management = createModelManagement({
    catalogue,
    store,
    onDemand: createOnDemandConfigs({ store, references, settings: () => onDemandSettingsOf(config()), logger: log }),
    plan: (name, request, isTaken) =>
      planDeployment(name, request, { rules: deployRulesOf(config()), references, isTaken, now: clock.now }),
    onDeployed: (name, modelUri) => modelMetrics.deployed(name, modelUri),
    startTimeoutMs: () => config().models.deployment.auto.health_check_timeout,
    clock,
    logger: log,
  });
  return { catalogue, management, knowledge };
}
