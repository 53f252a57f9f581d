/** Metrics of models and their servers, in the sidecar's registry. Names of CogStack Model Gateway's ripper are kept. */
import { MODEL_STATES, type ModelEntry } from "../../core/contract/models.js";
import { Counter, DURATION_BUCKETS, Gauge, Histogram, type Registry } from "../../core/runtime/metrics.js";
import type { ModelCatalogue } from "./catalogue.js";
import type { ReaperOptions } from "./reaper-jobs.js";
import type { RolloutObserver } from "./rollout-state.js";

export type ModelObserver = ReaperOptions["observer"] &
  RolloutObserver & {
    /** A start has led to a ready server. */
    started(name: string, tookMs: number): void;
  };

export interface ModelMetrics extends ModelObserver {
  /** A model was deployed by hand. */
  deployed(name: string, modelUri: string): void;
  /** Reads from now on what only the catalogue knows. */
  watch(catalogue: Pick<ModelCatalogue, "list" | "onChange"> & { use(name: string): { leases: number } }): void;
}

/** CMG's, in seconds: a minute to a year. */
const IDLE_BUCKETS = [
  60, 300, 600, 1_800, 3_600, 7_200, 14_400, 28_800, 86_400, 172_800, 432_000, 604_800, 1_209_600, 2_592_000,
  15_552_000, 31_536_000,
];

export function createModelMetrics(registry: Registry): ModelMetrics {
  const registers = [registry];
  const starts = new Counter({
    name: "sluice_model_starts_total",
    help: "Starts of model servers, by what came of them: ready, failed",
    labelNames: ["model", "outcome"],
    registers,
  });
  const startSeconds = new Histogram({
    name: "sluice_model_start_seconds",
    help: "From a model server's launch until it was ready",
    labelNames: ["model"],
    buckets: DURATION_BUCKETS.filter((seconds) => seconds >= 0.05),
    registers,
  });
  const reaps = declareReaps(registers);
  const rollouts = new Counter({
    name: "sluice_model_rollouts_total",
    help: "New versions brought to running models, by what came of them: switched, failed, superseded",
    labelNames: ["model", "outcome"],
    registers,
  });
  const deployed = new Counter({
    name: "gateway_models_deployed_total",
    help: "Models deployed by hand",
    labelNames: ["model", "model_uri"],
    registers,
  });
  return {
    ...reaps,
    rolledOut: (model, outcome) => rollouts.inc({ model, outcome }),
    started(model, tookMs) {
      starts.inc({ model, outcome: "ready" });
      startSeconds.observe({ model }, tookMs / 1_000);
    },
    deployed: (model, modelUri) => deployed.inc({ model, model_uri: publicUri(modelUri) }),
    watch(catalogue) {
      declareGauges(catalogue, registers);
      let known = new Map<string, ModelEntry["state"]>();
      catalogue.onChange((models) => {
        for (const { name, state } of models) {
          if (state === "failed" && known.get(name) !== "failed") starts.inc({ model: name, outcome: "failed" });
        }
        known = new Map(models.map(({ name, state }) => [name, state]));
      });
    },
  };
}

function declareReaps(registers: Registry[]): ReaperOptions["observer"] {
  const purged = new Counter({
    name: "ripper_containers_purged_total",
    help: "Model servers stopped for their age or idleness",
    labelNames: ["deployment_type", "reason"],
    registers,
  });
  const checked = new Counter({
    name: "ripper_containers_checked_total",
    help: "Looks at model servers that may be past their time",
    labelNames: ["deployment_type"],
    registers,
  });
  const idle = new Histogram({
    name: "ripper_model_idle_time_seconds",
    help: "How long a model server was idle when it was stopped for that",
    labelNames: ["model"],
    buckets: IDLE_BUCKETS,
    registers,
  });
  return {
    checked: ({ deploymentType }) => checked.inc({ deployment_type: deploymentType }),
    reaped({ name, deploymentType, reason, idleMs }) {
      purged.inc({ deployment_type: deploymentType, reason });
      if (idleMs !== null) idle.observe({ model: name }, idleMs / 1_000);
    },
  };
}

/** Read from the catalogue when somebody asks. */
function declareGauges(
  catalogue: Pick<ModelCatalogue, "list"> & { use(name: string): { leases: number } },
  registers: Registry[],
): void {
  new Gauge({
    name: "sluice_models",
    help: "Models, by the state of their server",
    labelNames: ["state"],
    registers,
    collect() {
      const models = catalogue.list();
      for (const state of MODEL_STATES) this.set({ state }, models.filter((each) => each.state === state).length);
    },
  });
  new Gauge({
    name: "sluice_model_leases",
    help: "What holds a model server up: requests, tasks, trainings",
    labelNames: ["model"],
    registers,
    collect() {
      this.reset();
      for (const { name } of catalogue.list()) this.set({ model: name }, catalogue.use(name).leases);
    },
  });
}

const MAX_URI_LABEL_LENGTH = 200;

/** Without what may be secret: user and password, query, fragment. */
function publicUri(uri: string): string {
  const bare = uri.replace(/[?#].*$/s, "").replace(/^([A-Za-z][A-Za-z0-9+.-]*:\/\/)[^/]*@/, "$1");
  return bare.slice(0, MAX_URI_LABEL_LENGTH);
}
