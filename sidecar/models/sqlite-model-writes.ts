/** Definitions of models and past starts, written in the writer's thread; what a configuration becomes is decided in `on-demand-rules.ts`. */
import { failpoint } from "../../core/runtime/failpoints.js";
import type { Database, Statement } from "../db/open.js";
import type { Write } from "../db/writer-messages.js";
import { type DeploymentRecord, deploymentRecord, type OnDemandRecord, onDemandVersion } from "./model-record.js";
import {
  type Deployment,
  MAX_STARTS_KEPT,
  type NewOnDemand,
  type OnDemandChange,
  type OnDemandContent,
  type OnDemandVersion,
  type RolloutMemory,
  type StartRecord,
} from "./model-store.js";
import { planCreate, planUpdate } from "./on-demand-rules.js";

/** Of all models together: names that nobody uses any more go in the end. */
const MAX_STARTS = 10_000;

export function prepareWrites(db: Database): Record<string, Write> {
  return { ...prepareConfigs(db), ...prepareDeployments(db), ...prepareRollouts(db), ...prepareStarts(db) };
}

function prepareConfigs(db: Database): Record<string, Write> {
  const inForce: Statement<OnDemandRecord> = db.prepare(
    "SELECT * FROM on_demand_configs WHERE model_name = ? AND enabled = 1",
  );
  const byId: Statement<OnDemandRecord> = db.prepare("SELECT * FROM on_demand_configs WHERE id = ?");
  const insert: Statement<OnDemandRecord> = db.prepare(
    `INSERT INTO on_demand_configs (model_name, model_uri, tracking_id, idle_ttl_seconds, description, deploy, follow,
       enabled, created_at_us, updated_at_us)
     SELECT @modelName, @modelUri, @trackingId, @idleTtlSeconds, @description, @deploy, @follow, 1, us, us FROM (
       SELECT max(@nowUs, ifnull(max(created_at_us) + 1, 0)) AS us FROM on_demand_configs WHERE model_name = @modelName)
     RETURNING *`,
  );
  const change: Statement<OnDemandRecord> = db.prepare(
    `UPDATE on_demand_configs SET model_uri = @modelUri, tracking_id = @trackingId, idle_ttl_seconds = @idleTtlSeconds,
       description = @description, deploy = @deploy, follow = @follow, updated_at_us = max(@nowUs, updated_at_us + 1)
     WHERE id = @id RETURNING *`,
  );
  const turn: Statement<OnDemandRecord> = db.prepare(
    "UPDATE on_demand_configs SET enabled = ?, updated_at_us = max(?, updated_at_us + 1) WHERE id = ? RETURNING *",
  );

  function find(name: string): OnDemandVersion | null {
    const record = inForce.get(name);
    return record === undefined ? null : onDemandVersion(record);
  }

  function disable(version: OnDemandVersion | null, nowUs: number): void {
    if (version === null) return;
    turn.run(0, nowUs, version.id);
    failpoint("on_demand.after_disable");
  }

  return {
    createOnDemand(wish: NewOnDemand, nowUs: number): OnDemandVersion {
      const old = find(wish.modelName);
      const content = planCreate(wish, old);
      disable(old, nowUs);
      const version = onDemandVersion(insert.get({ modelName: wish.modelName, ...columns(content), nowUs })!);
      failpoint("on_demand.before_commit");
      return version;
    },
    updateOnDemand(name: string, wish: OnDemandChange, nowUs: number): OnDemandVersion | null {
      const old = find(name);
      if (old === null) return null;
      return onDemandVersion(change.get({ id: old.id, ...columns(planUpdate(wish, old)), nowUs })!);
    },
    disableOnDemand(name: string, nowUs: number): boolean {
      const old = find(name);
      disable(old, nowUs);
      return old !== null;
    },
    enableOnDemand(id: number, nowUs: number): { version: OnDemandVersion; changed: boolean } | null {
      const record = byId.get(id);
      if (record === undefined) return null;
      if (record.enabled === 1) return { version: onDemandVersion(record), changed: false };
      disable(find(record.model_name), nowUs);
      return { version: onDemandVersion(turn.get(1, nowUs, id)!), changed: true };
    },
  };
}

function columns({ deploy, follow, ...content }: OnDemandContent): Record<string, unknown> {
  const { modelUri, trackingId, idleTtlSeconds, description } = content;
  return {
    modelUri,
    trackingId,
    idleTtlSeconds,
    description,
    deploy: deploy === null ? null : JSON.stringify(deploy),
    follow: follow ? 1 : 0,
  };
}

function prepareDeployments(db: Database): Record<string, Write> {
  const put: Statement<DeploymentRecord> = db.prepare(
    `INSERT OR REPLACE INTO deployments (name, deployment_type, model_uri, model_type, tracking_id, ttl_seconds,
       idle_ttl_seconds, deploy, created_at_ms)
     VALUES (@name, @deployment_type, @model_uri, @model_type, @tracking_id, @ttl_seconds, @idle_ttl_seconds, @deploy,
       @created_at_ms)`,
  );
  const remove = db.prepare("DELETE FROM deployments WHERE name = ?");
  return {
    putDeployment(deployment: Deployment): void {
      put.run(deploymentRecord(deployment));
      failpoint("deployment.before_commit");
    },
    removeDeployment: (name: string): boolean => remove.run(name).changes === 1,
  };
}

function prepareRollouts(db: Database): Record<string, Write> {
  const put = db.prepare(
    `INSERT OR REPLACE INTO rollouts (model, slot, kept_uri, failed_uri, problem)
     VALUES (@model, @slot, @keptUri, @failedUri, @problem)`,
  );
  const remove = db.prepare("DELETE FROM rollouts WHERE model = ?");
  return {
    putRollout(memory: RolloutMemory): void {
      put.run({ ...memory });
      failpoint("rollout.before_commit");
    },
    removeRollout: (model: string): void => void remove.run(model),
  };
}

function prepareStarts(db: Database): Record<string, Write> {
  const insert = db.prepare(
    "INSERT INTO model_starts (model, model_uri, took_ms, at_ms) VALUES (@model, @modelUri, @tookMs, @atMs)",
  );
  const trim = db.prepare(
    `DELETE FROM model_starts WHERE model = ? AND seq NOT IN
       (SELECT seq FROM model_starts WHERE model = ? ORDER BY seq DESC LIMIT ${MAX_STARTS_KEPT})`,
  );
  const trimAll = db.prepare(
    `DELETE FROM model_starts WHERE seq <= (SELECT max(seq) FROM model_starts) - ${MAX_STARTS}`,
  );
  return {
    recordStart({ model, modelUri, tookMs, atMs }: StartRecord): void {
      insert.run({ model, modelUri, tookMs: Math.round(tookMs), atMs: Math.round(atMs) });
      trim.run(model, model);
      trimAll.run();
    },
  };
}
