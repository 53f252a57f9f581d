/** What MLflow is asked about models: artifacts of runs, registered versions, the file `MLmodel` of each. */
import { type Asked, listOf, type MlflowRest, UNKNOWN, type Unknown } from "./mlflow-rest.js";
import { type ModelFile, readModelFile } from "./model-file.js";
import { type ModelLocation, proxiedRoot } from "./model-uri.js";
import { readTags, type TrackedRun } from "./tracked-run.js";

export interface RegisteredVersion {
  readonly name: string;
  readonly version: string;
  /** Empty where it came from no run. */
  readonly runId: string;
  readonly stage: string;
  readonly tags: Readonly<Record<string, string>>;
}

export interface Artifact {
  /** Below the run's artifact root. */
  readonly path: string;
  readonly isFolder: boolean;
}

type Registered = Extract<ModelLocation, { kind: "version" | "alias" | "newest" }>;

/** No question rejects, except with the signal's reason. */
export interface MlflowModels {
  /** One folder of a run, or its root; not what lies deeper. At most {@link MAX_ARTIFACTS}. */
  artifacts(runId: string, path: string | null, signal?: AbortSignal): Promise<Asked<Artifact[]>>;
  /** The version that a `models:/` URI means now. */
  version(location: Registered, signal?: AbortSignal): Promise<Asked<RegisteredVersion>>;
  /** As MLflow orders them. */
  versionsOfRun(runId: string, signal?: AbortSignal): Promise<Asked<RegisteredVersion[]>>;
  /** `MLmodel` in a folder among a run's artifacts. */
  fileOfRun(run: TrackedRun, path: string, signal?: AbortSignal): Promise<Asked<ModelFile>>;
  fileOfVersion(version: RegisteredVersion, signal?: AbortSignal): Promise<Asked<ModelFile>>;
}

export interface MlflowModelsOptions {
  readonly rest: MlflowRest;
  /** Asks where MLflow may be asked. That a store behind it is in trouble says nothing of MLflow itself. */
  readonly ask: <Value>(
    question: () => Promise<Value | Unknown>,
    signal: AbortSignal | undefined,
  ) => Promise<Asked<Value>>;
}

export const MAX_ARTIFACTS = 10_000;
const MAX_PAGES = 20;
const MAX_VERSIONS = 1_000;

export function createMlflowModels({ rest, ask }: MlflowModelsOptions): MlflowModels {
  async function artifacts(runId: string, path: string | null, signal?: AbortSignal): Promise<Artifact[] | Unknown> {
    const found: Artifact[] = [];
    const asked = { run_id: runId, ...(path === null ? {} : { path }) };
    let token: string | undefined;
    for (let page = 0; page < MAX_PAGES && found.length < MAX_ARTIFACTS; page++) {
      const query = new URLSearchParams(token === undefined ? asked : { ...asked, page_token: token });
      const answer = await rest.get(`artifacts/list?${query}`, signal);
      if (answer === UNKNOWN) return UNKNOWN;
      for (const file of listOf(answer.files)) found.push({ path: String(file.path), isFolder: file.is_dir === true });
      token = typeof answer.next_page_token === "string" ? answer.next_page_token : "";
      if (token === "") break;
    }
    return found;
  }

  async function search(filter: string, signal?: AbortSignal): Promise<RegisteredVersion[] | Unknown> {
    const query = new URLSearchParams({ filter, max_results: String(MAX_VERSIONS) });
    const answer = await rest.get(`model-versions/search?${query}`, signal);
    return answer === UNKNOWN ? UNKNOWN : listOf(answer.model_versions).map(readVersion);
  }

  async function version(location: Registered, signal?: AbortSignal): Promise<RegisteredVersion | Unknown> {
    if (location.kind === "newest") return newest(location.name, location.stage, signal);
    const { kind, ...parameters } = location;
    const path = kind === "version" ? "model-versions/get" : "registered-models/alias";
    const answer = await rest.get(`${path}?${new URLSearchParams(parameters)}`, signal);
    return answer === UNKNOWN ? UNKNOWN : readVersion(answer.model_version);
  }

  async function newest(
    name: string,
    stage: string | null,
    signal?: AbortSignal,
  ): Promise<RegisteredVersion | Unknown> {
    if (!canBeQuoted(name)) return UNKNOWN;
    const found = await search(`name = '${name}'`, signal);
    if (found === UNKNOWN) return UNKNOWN;
    const right = found.filter((each) => stage === null || each.stage.toLowerCase() === stage.toLowerCase());
    const [last] = right.sort((a, b) => Number(b.version) - Number(a.version));
    // CMS's own documents write an alias where MLflow expects a stage.
    if (last === undefined && stage !== null) return version({ kind: "alias", name, alias: stage }, signal);
    return last ?? UNKNOWN;
  }

  async function file(path: string, signal?: AbortSignal): Promise<ModelFile | Unknown> {
    const text = await rest.text(path, signal);
    return text === UNKNOWN ? UNKNOWN : (readModelFile(text) ?? UNKNOWN);
  }

  const fileAt = (path: string, signal?: AbortSignal) =>
    file(
      `/api/2.0/mlflow-artifacts/artifacts/${`${path}/MLmodel`.split("/").map(encodeURIComponent).join("/")}`,
      signal,
    );

  async function fileOfRun(run: TrackedRun, path: string, signal?: AbortSignal): Promise<ModelFile | Unknown> {
    const query = new URLSearchParams({ path: `${path}/MLmodel`, run_uuid: run.runId });
    const found = await file(`/get-artifact?${query}`, signal);
    // Where the pages of MLflow are closed, its API still hands artifacts out.
    const root = proxiedRoot(run.artifactUri);
    return found === UNKNOWN && root !== null ? fileAt(`${root}/${path}`, signal) : found;
  }

  return {
    artifacts: (runId, path, signal) => ask(() => artifacts(runId, path, signal), signal),
    version: (location, signal) => ask(() => version(location, signal), signal),
    async versionsOfRun(runId, signal) {
      if (!canBeQuoted(runId)) return [];
      return ask(() => search(`run_id = '${runId}'`, signal), signal);
    },
    fileOfRun: (run, path, signal) => ask(() => fileOfRun(run, path, signal), signal),
    fileOfVersion({ name, version }, signal) {
      const query = new URLSearchParams({ name, version, path: "MLmodel" });
      return ask(() => file(`/model-versions/get-artifact?${query}`, signal), signal);
    },
  };
}

/** MLflow's filters know no escape. */
function canBeQuoted(text: string): boolean {
  return /^[^'"\\\p{Cc}]{1,256}$/u.test(text);
}

/** @throws Error when it is no version at all */
function readVersion(value: unknown): RegisteredVersion {
  const { name, version, run_id: runId, current_stage: stage, tags } = (value ?? {}) as Record<string, unknown>;
  if (typeof name !== "string" || (typeof version !== "string" && typeof version !== "number")) {
    throw new Error("a registered version without name and version");
  }
  return {
    name,
    version: String(version),
    runId: typeof runId === "string" ? runId : "",
    stage: typeof stage === "string" ? stage : "None",
    tags: readTags(tags),
  };
}
