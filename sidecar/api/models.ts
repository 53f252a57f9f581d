/** `GET /models` and `GET /models/<name>`: CMG's model objects. Reading never starts a model. */
import type { FastifyInstance } from "fastify";
import { SluiceError } from "../../core/contract/errors.js";
import { type DeploymentType, type ModelEntry, unavailableMessage } from "../../core/contract/models.js";
import type { HttpClient } from "../../core/runtime/http.js";
import type { ModelCatalogue } from "../models/catalogue.js";
import { fetchInfoText } from "../models/info.js";
import { Query } from "./query.js";
import { bothForms } from "./replies.js";

export interface ModelRouteDeps {
  readonly catalogue: ModelCatalogue;
  readonly http: HttpClient;
}

/** CMG's model object; members without a value are left out. */
export interface ModelObject {
  readonly name: string;
  readonly uri?: string;
  readonly is_running: boolean;
  readonly description?: string;
  readonly model_type?: string;
  readonly deployment_type?: DeploymentType;
  readonly runtime?: Record<string, unknown>;
}

export function registerModelRoutes(app: FastifyInstance, { catalogue, http }: ModelRouteDeps): void {
  for (const url of bothForms("/models")) {
    app.get(url, { exposeHeadRoute: false }, async (request) => {
      const isVerbose = readVerbose(request.query);
      const models = catalogue.list();
      const describe = (entries: ModelEntry[]) =>
        Promise.all(entries.map((entry) => describeModel(entry, isVerbose, http)));
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
      const { name } = request.params;
      const entry = catalogue.get(name);
      if (entry === undefined) throw new SluiceError("MODEL_UNKNOWN", unavailableMessage(name, catalogue.list()));
      return describeModel(entry, isVerbose, http);
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

function isRunning(entry: ModelEntry): boolean {
  return entry.state === "ready" || entry.state === "draining";
}

async function describeModel(entry: ModelEntry, isVerbose: boolean, http: HttpClient): Promise<ModelObject> {
  const brief = {
    name: entry.name,
    ...(entry.modelUri === null ? {} : { uri: entry.modelUri }),
    is_running: isRunning(entry),
  };
  if (!isVerbose) return brief;
  const runtime = isRunning(entry) && entry.url !== null ? await fetchInfo(http, entry.url) : null;
  const description = textOf(runtime?.model_description);
  const modelType = textOf(runtime?.model_type) ?? entry.modelType;
  return {
    ...brief,
    ...(description === null ? {} : { description }),
    ...(modelType === null ? {} : { model_type: modelType }),
    deployment_type: entry.deploymentType ?? (entry.source === "process" ? "auto" : "static"),
    ...(runtime === null ? {} : { runtime }),
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
