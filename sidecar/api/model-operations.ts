/** `/admin/models…`: what operators see of model servers, and starting and stopping them. */
import type { FastifyInstance } from "fastify";
import type { ModelEntry } from "../../core/contract/models.js";
import { wireTime } from "../../core/contract/tasks.js";
import type { ModelCatalogue } from "../models/catalogue.js";
import type { ModelManagement } from "../models/management.js";
import type { RolloutState } from "../models/rollout-state.js";
import { deploymentTypeOf, known } from "./known-model.js";
import { registerModelEvents } from "./model-events.js";
import { registerModelLogs } from "./model-logs.js";
import type { ModelState } from "./model-shapes.js";
import { readWaitMs } from "./query.js";
import { bothForms } from "./replies.js";

export interface ModelOperationDeps {
  readonly catalogue: ModelCatalogue;
  readonly management: ModelManagement;
  /** Whether logs, which may hold notes, are answered to whoever reaches the proxy. */
  readonly areLogsPublic: () => boolean;
}

type OfModel = { Params: { name: string } };

export function registerModelOperations(app: FastifyInstance, deps: ModelOperationDeps): void {
  const { catalogue, management } = deps;
  const describe = (entry: ModelEntry) => stateOf(entry, management);
  for (const url of bothForms("/admin/models")) {
    app.get(url, async () => ({ models: catalogue.list().map(describe).sort(byName) }));
  }
  for (const url of bothForms("/admin/models/:name")) {
    app.get<OfModel>(url, async ({ params }) => describe(known(params.name, catalogue)));
  }
  for (const url of bothForms("/admin/models/:name/start")) {
    app.post<OfModel>(url, async ({ params }, reply) => {
      const entry = management.start(params.name);
      return reply.code(entry.state === "ready" ? 200 : 202).send(describe(entry));
    });
  }
  for (const url of bothForms("/admin/models/:name/stop")) {
    app.post<OfModel>(url, async ({ params }) => describe(await management.stop(params.name)));
  }
  // On the machine itself the wait is the caller's to choose.
  app.post<OfModel>("/internal/models/:name/stop", async ({ params, query }) =>
    describe(await management.stop(params.name, readWaitMs(query))),
  );
  registerModelEvents(app, deps);
  registerModelLogs(app, deps);
}

function byName(one: { name: string }, other: { name: string }): number {
  return one.name < other.name ? -1 : 1;
}

function stateOf(entry: ModelEntry, management: Pick<ModelManagement, "facts">): ModelState {
  const facts = management.facts(entry.name);
  const expiresAtMs = facts?.expiresAtMs ?? null;
  return {
    name: entry.name,
    state: entry.state,
    source: entry.source,
    deployment_type: facts?.deploymentType ?? deploymentTypeOf(entry),
    on_demand: entry.onDemand,
    concurrency: entry.concurrency,
    uri: entry.modelUri,
    model_type: entry.modelType,
    description: facts?.description ?? null,
    server_id: entry.serverId ?? null,
    idle_ttl: facts?.idleTtlSeconds ?? null,
    expires_at: expiresAtMs === null ? null : wireTime(expiresAtMs),
    problem: entry.problem,
    rollout: facts?.rollout == null ? null : shownRollout(facts.rollout),
  };
}

function shownRollout({ formerServers, ...rollout }: RolloutState): NonNullable<ModelState["rollout"]> {
  return { ...rollout, former_servers: formerServers };
}
