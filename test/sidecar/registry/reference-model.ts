/** The registry as simply as it can be said: what each step makes of it. */
import type { Registry } from "../../../sidecar/registry/registry.js";
import type { Uploads } from "../../../sidecar/registry/uploads.js";
import { headerOf, pull, push } from "./local-rig.js";

/** One thing a caller does, as data. */
export type Step =
  | { readonly do: "put"; readonly model: string; readonly value: string }
  | { readonly do: "push"; readonly model: string; readonly data: string; readonly archived: boolean }
  | { readonly do: "begin"; readonly model: string; readonly dataBytes: number }
  | { readonly do: "append"; readonly model: string; readonly at: number; readonly data: string }
  | { readonly do: "alias"; readonly model: string; readonly alias: string; readonly number: number | null }
  | { readonly do: "delete-version"; readonly model: string; readonly number: number }
  | { readonly do: "delete-model"; readonly model: string };

interface ModelState {
  value: string;
  next: number;
  /** Data of archived ones. */
  versions: Record<number, string>;
  aliases: Record<string, number>;
  history: Record<string, (number | null)[]>;
}

export interface UploadUnderWay {
  readonly dataBytes: number;
  data: string;
}

export class ReferenceModel {
  readonly models: Record<string, ModelState> = {};
  /** At most one of a model. */
  readonly uploads: Record<string, UploadUnderWay> = {};

  apply(step: Step): void {
    const model = this.models[step.model];
    if (step.do === "put") this.models[step.model] = { ...(model ?? blank()), value: step.value };
    else if (step.do === "push") this.#create(step.model, step.archived ? step.data : null);
    else if (step.do === "begin") this.uploads[step.model] = { dataBytes: step.dataBytes, data: "" };
    else if (step.do === "append") this.#append(step.model, step.data);
    else if (step.do === "alias") setAlias(model!, step.alias, step.number);
    else if (step.do === "delete-model") delete this.models[step.model];
    else {
      const named = Object.entries(model!.aliases).filter(([, number]) => number === step.number);
      for (const [alias] of named.sort()) setAlias(model!, alias, null);
      delete model!.versions[step.number];
    }
  }

  #create(id: string, data: string | null): void {
    const model = this.models[id]!;
    if (data !== null) model.versions[model.next] = data;
    model.next += 1;
  }

  #append(id: string, data: string): void {
    const upload = this.uploads[id]!;
    upload.data += data;
    if (upload.data.length < upload.dataBytes) return;
    delete this.uploads[id];
    this.#create(id, upload.data);
  }
}

function blank(): ModelState {
  return { value: "", next: 1, versions: {}, aliases: {}, history: {} };
}

function setAlias(model: ModelState, alias: string, number: number | null): void {
  model.history[alias] = [number, ...(model.history[alias] ?? [])];
  if (number === null) delete model.aliases[alias];
  else model.aliases[alias] = number;
}

/** Does a step for real. @param uploads the ids of uploads in pieces, by their models */
export async function perform(
  { registry, uploads }: { registry: Registry; uploads: Uploads },
  ids: Map<string, string>,
  step: Step,
): Promise<void> {
  const { model } = step;
  if (step.do === "put") await registry.putModel({ modelId: model, userData: { value: step.value } });
  else if (step.do === "push") await push(registry, model, step.data, { archived: step.archived });
  else if (step.do === "begin") ids.set(model, (await uploads.begin(headerOf(model, step.dataBytes))).id);
  else if (step.do === "append") await append(uploads, ids.get(model)!, step);
  else if (step.do === "delete-version") await registry.deleteVersion(model, step.number, { force: false });
  else if (step.do === "delete-model") await registry.deleteModel(model, { force: false });
  else if (step.number === null) await registry.removeAlias(model, step.alias);
  else await registry.setAlias(model, step.alias, step.number);
}

/** What is not there yet of it. */
async function append(uploads: Uploads, id: string, { at, data }: { at: number; data: string }): Promise<void> {
  const { offsetBytes } = uploads.state(id);
  async function* source(): AsyncGenerator<Uint8Array> {
    yield Buffer.from(data.slice(offsetBytes - at));
  }
  await uploads.append(id, offsetBytes, source());
}

/** Aliases that steps may use. */
const ALIASES = ["champion", "other"];

function historiesOf(registry: Registry, modelId: string): ModelState["history"] {
  const histories: ModelState["history"] = {};
  for (const alias of ALIASES) {
    try {
      histories[alias] = registry.aliasHistory(modelId, alias).map(({ versionNumber }) => versionNumber);
    } catch (caught) {
      if ((caught as { code?: unknown }).code !== "REGISTRY_ALIAS_UNKNOWN") throw caught;
    }
  }
  return histories;
}

/** What a registry holds, in the reference's words; numbers that come next are not to be seen. */
export async function shown(registry: Registry): Promise<Record<string, Omit<ModelState, "next">>> {
  const models: Record<string, Omit<ModelState, "next">> = {};
  for (const { modelId, userData } of registry.models({ skip: 0, limit: 0 })) {
    const versions: Record<number, string> = {};
    for (const { versionNumber, archived } of registry.versions(modelId, { from: 0, limit: 0 })) {
      if (archived) versions[versionNumber] = await pull(registry, modelId, versionNumber);
    }
    const aliases = registry.aliases(modelId).map(({ alias, versionNumber }) => [alias, versionNumber!]);
    models[modelId] = {
      value: userData.value!,
      versions,
      aliases: Object.fromEntries(aliases) as Record<string, number>,
      history: historiesOf(registry, modelId),
    };
  }
  return models;
}
