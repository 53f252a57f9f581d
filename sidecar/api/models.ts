/** `GET /models` and `GET /models/<name>`: CMG's model objects. Reading never starts a model. */
import type { FastifyInstance } from "fastify";
import type { ModelEntry } from "../../core/contract/models.js";
import type { HttpClient } from "../../core/runtime/http.js";
import type { ModelCatalogue } from "../models/catalogue.js";
import { fetchInfoText } from "../models/info.js";
import type { ModelManagement } from "../models/management.js";
import type { ModelKnowledge } from "../models/model-knowledge.js";
import { deploymentTypeOf, known } from "./known-model.js";
import type { ModelObject } from "./model-shapes.js";
import { Query } from "./query.js";
import { bothForms } from "./replies.js";

export interface ModelRouteDeps {
  readonly catalogue: ModelCatalogue;
  readonly http: HttpClient;
  readonly management: Pick<ModelManagement, "facts">;
  readonly knowledge: ModelKnowledge;
}

export function registerModelRoutes(app: FastifyInstance, deps: ModelRouteDeps): void {
  const { catalogue } = deps;
  for (const url of bothForms("/models")) {
    app.get(url, { exposeHeadRoute: false }, async (request) => {
      const isVerbose = readVerbose(request.query);
      const models = catalogue.list();
      const describe = (entries: ModelEntry[]) =>
        Promise.all(entries.map((entry) => (isVerbose ? describeModel(entry, deps) : nameModel(entry))));
      const [running, onDemand] = await Promise.all([
        describe(models.filter(isListedAsRunning)),
        describe(models.filter((entry) => !isListedAsRunning(entry)).sort(byName)),
      ]);
      return { running, on_demand: onDemand };
    });
  }
  for (const url of bothForms("/models/:name")) {
    app.get<{ Params: { name: string } }>(url, { exposeHeadRoute: false }, async (request) => {
      const isVerbose = readVerbose(request.query);
      const entry = known(request.params.name, catalogue);
      return isVerbose ? describeModel(entry, deps) : nameModel(entry);
    });
  }
}

function byName(one: ModelEntry, other: ModelEntry): number {
  return one.name < other.name ? -1 : 1;
}

/** Servers that somebody else runs are never started by a request, so they are not on demand even while they do not answer. */
function isListedAsRunning(entry: ModelEntry): boolean {
  return isRunning(entry) || !entry.onDemand;
}

/** What Sluice has started runs, whether or not it answers yet: so CMG says of a container. */
function isRunning({ state, serverId }: Pick<ModelEntry, "state" | "serverId">): boolean {
  return state === "ready" || state === "draining" || serverId !== undefined;
}

function nameModel({ name, modelUri, ...entry }: ModelEntry): ModelObject {
  return { name, ...(modelUri === null ? {} : { uri: modelUri }), is_running: isRunning(entry) };
}

async function describeModel(entry: ModelEntry, deps: ModelRouteDeps): Promise<ModelObject> {
  const { http, management, knowledge } = deps;
  const uri = entry.modelUri;
  const runs = isRunning(entry);
  const [runtime, tracking, knownType] = await Promise.all([
    runs && entry.url !== null ? fetchInfo(http, entry.url) : null,
    uri === null ? null : knowledge.tracking(uri),
    uri === null ? null : knowledge.modelType(uri),
  ]);
  const facts = management.facts(entry.name);
  const description = runs ? textOf(runtime?.model_description) : (facts?.description ?? null);
  const modelType = knownType ?? textOf(runtime?.model_type) ?? entry.modelType;
  const idleTtl = runs || !entry.onDemand ? null : (facts?.idleTtlSeconds ?? null);
  return {
    ...nameModel(entry),
    ...(description === null ? {} : { description }),
    ...(modelType === null ? {} : { model_type: modelType }),
    deployment_type: facts?.deploymentType ?? deploymentTypeOf(entry),
    ...(idleTtl === null ? {} : { idle_ttl: idleTtl }),
    ...(runtime === null ? {} : { runtime }),
    ...(tracking === null ? {} : { tracking }),
  };
}

function textOf(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}

/** The model server's own description; null when it cannot be had (CMG leaves it out then). */
async function fetchInfo(http: HttpClient, url: string): Promise<Record<string, unknown> | null> {
  const text = await fetchInfoText(http, url);
  try {
    const info: unknown = text === null ? null : JSON.parse(text);
    return typeof info === "object" && info !== null && !Array.isArray(info) ? (info as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

/** CMG's lax boolean; of several the last counts. @throws INVALID_PARAMETER */
function readVerbose(given: unknown): boolean {
  const query = new Query(given);
  const isVerbose = query.flag("verbose");
  query.done();
  return isVerbose;
}
