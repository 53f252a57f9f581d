/** What the stand-in for MLflow knows of models: artifacts of runs, registered versions, and each model's MLmodel file. In memory. */
import { toYaml } from "../../config/yaml.js";

export interface FakeArtifact {
  /** Below the run's artifact root, `model` or `model/MLmodel`. */
  readonly path: string;
  /** Left out: a folder. */
  readonly text?: string;
}

/** An MLmodel file as MLflow 2 writes it. */
export interface FakeModelFile {
  readonly run_id: string;
  /** Folder below the run's artifact root. */
  readonly artifact_path: string;
  readonly utc_time_created: string;
  readonly model_uuid: string;
  readonly mlflow_version: string;
  readonly flavors: Readonly<Record<string, unknown>>;
  /** Left out by MLflow when the model has none. */
  readonly signature?: { readonly inputs: string; readonly outputs: string | null; readonly params: string | null };
}

export interface FakeVersion {
  readonly name: string;
  readonly version: string;
  readonly run_id: string;
  /** Where its files are: `runs:/<run>/<path>`. */
  readonly source: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly aliases: readonly string[];
}

export interface FakeModels {
  /** One file or folder of a run. */
  putArtifact(runId: string, artifact: FakeArtifact): void;
  /** A logged model: its folder and MLmodel file among the run's artifacts. `runs:/<run_id>/<artifact_path>` is then known. */
  putModel(model: Partial<FakeModelFile> & { run_id: string }): FakeModelFile;
  /** A registered version. `models:/<name>/<version>` and `models:/<name>@<alias>` are then known. */
  putVersion(version: Partial<FakeVersion> & { name: string; run_id: string }): FakeVersion;
}

export interface ModelAnswers extends FakeModels {
  /** The model's entry in the run's tag `mlflow.log-model.history`. */
  history(runId: string): FakeModelFile[];
  /** @param path below `/api/2.0/mlflow/`; undefined: no route of these, null: no such thing */
  answer(path: string, parameters: URLSearchParams): unknown;
  /** @param path of the whole URL, below the base path; undefined: no route of these, null: no such file */
  file(path: string, parameters: URLSearchParams): string | null | undefined;
}

const ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts/";

export function createModelAnswers(): ModelAnswers {
  const artifacts = new Map<string, Map<string, FakeArtifact>>();
  const models: FakeModelFile[] = [];
  const versions: FakeVersion[] = [];
  const filesOf = (runId: string) => artifacts.get(runId) ?? new Map<string, FakeArtifact>();
  const textOf = (runId: string, path: string) => filesOf(runId).get(path)?.text ?? null;
  const versionOf = (name: string | null, version: string | null) =>
    versions.find((each) => each.name === name && each.version === version);

  function putArtifact(runId: string, artifact: FakeArtifact): void {
    artifacts.set(runId, filesOf(runId).set(artifact.path, artifact));
  }

  function textOfVersion(parameters: URLSearchParams): string | null {
    const version = versionOf(parameters.get("name"), parameters.get("version"));
    const source = /^runs:\/([^/]+)\/(.+)$/.exec(version?.source ?? "");
    return source === null ? null : textOf(source[1]!, `${source[2]}/${parameters.get("path")}`);
  }

  return {
    putArtifact,
    putModel(given) {
      const model = { ...NEW_MODEL, model_uuid: `uuid-${given.run_id}`, ...given };
      models.push(model);
      putArtifact(model.run_id, { path: model.artifact_path });
      putArtifact(model.run_id, { path: `${model.artifact_path}/MLmodel`, text: toYaml(model) });
      return model;
    },
    putVersion(given) {
      const version = { version: "1", source: `runs:/${given.run_id}/model`, tags: {}, aliases: [], ...given };
      versions.push(version);
      return version;
    },
    history: (runId) => models.filter((each) => each.run_id === runId),
    answer(path, parameters) {
      const name = parameters.get("name");
      switch (path) {
        case "artifacts/list": {
          const runId = parameters.get("run_id") ?? "";
          return listFolder([...filesOf(runId).values()], parameters.get("path") ?? "");
        }
        case "model-versions/search": {
          const found = versions.filter((each) => matches(each, parameters.get("filter") ?? ""));
          return found.length === 0 ? {} : { model_versions: found.map(wireVersion) };
        }
        case "model-versions/get":
          return wrap("model_version", versionOf(name, parameters.get("version")));
        case "registered-models/alias": {
          const alias = parameters.get("alias") ?? "";
          return wrap(
            "model_version",
            versions.find((each) => each.name === name && each.aliases.includes(alias)),
          );
        }
        case "model-versions/get-download-uri": {
          const version = versionOf(name, parameters.get("version"));
          return version === undefined ? null : { artifact_uri: version.source };
        }
        default:
          return undefined;
      }
    },
    file(path, parameters) {
      if (path === "/get-artifact") {
        return textOf(parameters.get("run_uuid") ?? parameters.get("run_id") ?? "", parameters.get("path") ?? "");
      }
      if (path === "/model-versions/get-artifact") return textOfVersion(parameters);
      if (!path.startsWith(ARTIFACTS)) return undefined;
      const parts = /^[^/]+\/([^/]+)\/artifacts\/(.+)$/.exec(decodeURIComponent(path.slice(ARTIFACTS.length)));
      return parts === null ? null : textOf(parts[1]!, parts[2]!);
    },
  };
}

const NEW_MODEL = {
  artifact_path: "model",
  utc_time_created: "2026-01-02 03:04:05.678901",
  mlflow_version: "2.16.2",
  flavors: { python_function: { loader_module: "mlflow.pyfunc.model", python_version: "3.10.14" } },
};

/** The two filters that are used: a run, a registered model's name. */
function matches(version: FakeVersion, filter: string): boolean {
  const found = /^(run_id|name)\s*=\s*'([^']*)'$/.exec(filter.trim());
  return found !== null && (found[1] === "run_id" ? version.run_id : version.name) === found[2];
}

function listFolder(all: FakeArtifact[], folder: string): unknown {
  const prefix = folder === "" ? "" : `${folder}/`;
  const found = all.filter(({ path }) => path.startsWith(prefix) && !path.slice(prefix.length).includes("/"));
  const files = found.map(({ path, text }) => ({
    path,
    is_dir: text === undefined,
    ...(text === undefined ? {} : { file_size: String(Buffer.byteLength(text)) }),
  }));
  const root = { root_uri: "mlflow-artifacts:/1/run/artifacts" };
  return files.length === 0 ? root : { ...root, files };
}

function wrap(key: string, version: FakeVersion | undefined): unknown {
  return version === undefined ? null : { [key]: wireVersion(version) };
}

function wireVersion({ tags, ...version }: FakeVersion): unknown {
  const pairs = Object.entries(tags).map(([key, value]) => ({ key, value }));
  return {
    ...version,
    creation_timestamp: 1_767_323_045_678,
    last_updated_timestamp: 1_767_323_045_678,
    current_stage: "None",
    status: "READY",
    ...(pairs.length === 0 ? {} : { tags: pairs }),
  };
}
