/** Definitions of models and past starts in SQLite: reads on this thread, writes through the writer's (`sqlite-model-writes.ts`). */
import type { Database, Statement } from "../db/open.js";
import type { Writer } from "../db/writer.js";
import { type DeploymentRecord, deployment, type OnDemandRecord, onDemandVersion } from "./model-record.js";
import { MAX_STARTS_KEPT, type ModelStore, type RolloutMemory, type StartRecord } from "./model-store.js";

/** The writes, for whoever opens the writer. */
export const MODEL_WRITES = new URL("./sqlite-model-writes.js", import.meta.url);

/** @param now epoch milliseconds; default the system's */
export function createSqliteModels(database: Database, writer: Writer, now: () => number = Date.now): ModelStore {
  const ordered = "ORDER BY model_name, id DESC";
  const all: Statement<OnDemandRecord> = database.prepare(`SELECT * FROM on_demand_configs ${ordered}`);
  const enabled: Statement<OnDemandRecord> = database.prepare(
    `SELECT * FROM on_demand_configs WHERE enabled = 1 ${ordered}`,
  );
  const inForce: Statement<OnDemandRecord> = database.prepare(
    "SELECT * FROM on_demand_configs WHERE model_name = ? AND enabled = 1",
  );
  const versions: Statement<OnDemandRecord> = database.prepare(
    "SELECT * FROM on_demand_configs WHERE model_name = ? ORDER BY id DESC",
  );
  const deployments: Statement<DeploymentRecord> = database.prepare("SELECT * FROM deployments ORDER BY name");
  const named: Statement<DeploymentRecord> = database.prepare("SELECT * FROM deployments WHERE name = ?");
  const rollouts: Statement<RolloutMemory> = database.prepare(
    "SELECT model, slot, kept_uri AS keptUri, failed_uri AS failedUri, problem FROM rollouts",
  );
  const starts: Statement<StartRecord> = database.prepare(
    `SELECT model, model_uri AS modelUri, took_ms AS tookMs, at_ms AS atMs FROM model_starts
     WHERE model = ? ORDER BY seq DESC LIMIT ${MAX_STARTS_KEPT}`,
  );
  const nowUs = () => Math.round(now() * 1_000);

  return {
    configs: (includeDisabled) => (includeDisabled ? all : enabled).all().map(onDemandVersion),
    enabledConfig(name) {
      const record = inForce.get(name);
      return record === undefined ? null : onDemandVersion(record);
    },
    versions: (name) => versions.all(name).map(onDemandVersion),
    createConfig: (wish) => writer.call("createOnDemand", [wish, nowUs()]),
    updateConfig: (name, change) => writer.call("updateOnDemand", [name, change, nowUs()]),
    disableConfig: (name) => writer.call("disableOnDemand", [name, nowUs()]),
    enableConfig: (id) => writer.call("enableOnDemand", [id, nowUs()]),

    deployments: () => deployments.all().map(deployment),
    deployment(name) {
      const record = named.get(name);
      return record === undefined ? null : deployment(record);
    },
    putDeployment: (given) => writer.call("putDeployment", [given]),
    removeDeployment: (name) => writer.call("removeDeployment", [name]),

    rollouts: () => rollouts.all(),
    putRollout: (memory) => writer.call("putRollout", [memory]),
    removeRollout: (model) => writer.call("removeRollout", [model]),

    starts: (model) => starts.all(model),
    recordStart: (start) => writer.call("recordStart", [start]),
  };
}
