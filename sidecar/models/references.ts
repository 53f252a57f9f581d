/**
 * A model's reference: a URI, or the run that made the model (reference cmg-api 3.4). A run is resolved by MLflow, where also a URI
 * may be looked up before it is believed. Nothing is cached here: who deploys wants to know how it is now.
 */
import { SluiceError } from "../../core/contract/errors.js";
import { isRegistryUri } from "../../core/contract/registry.js";
import { RETRY_AFTER_MS } from "../tracking/circuit.js";
import type { Asked, Mlflow } from "../tracking/mlflow.js";
import type { Artifact } from "../tracking/mlflow-models.js";
import { type ModelLocation, readModelUri } from "../tracking/model-uri.js";
import { locateRun } from "./located-run.js";
import { shown } from "./model-name.js";
import { asReferenceError, type Packages } from "./packages.js";

export interface Reference {
  readonly modelUri: string | null;
  /** A run's id. */
  readonly trackingId: string | null;
}

export interface References {
  /**
   * The URI that a reference means: its own, trimmed, else its run's.
   * @param mustBeKnown a URI that MLflow does not know is refused; the registry is always asked for its own
   * @throws REFERENCE_MISSING, REFERENCE_UNKNOWN, TRACKING_UNAVAILABLE, INVALID_PARAMETER, VERSION_TRANSIENT, VERSION_DAMAGED
   */
  resolve(reference: Reference, mustBeKnown: boolean): Promise<string>;
}

/** Longest id of a run that MLflow is asked for. */
const LONGEST_RUN_ID = 256;

/** @param mlflow null where `tracking.uri` cannot be asked over HTTP */
export function createReferences(mlflow: Mlflow | null, packages: Packages): References {
  async function uriOfRun(runId: string): Promise<string> {
    if (mlflow === null) throw notAsked(`run '${shown(runId)}'`);
    const run = runId.length > LONGEST_RUN_ID ? "unknown" : present(await mlflow.getRun(runId));
    if (run === "unknown") throw unknown(`MLflow does not know a run '${shown(runId)}'`);
    const tagged = run.tags["training.output.model_uri"]?.trim();
    if (tagged !== undefined && tagged !== "") return tagged;
    const artifacts = present(await mlflow.models.artifacts(runId, null));
    const folder = artifacts === "unknown" ? null : modelFolder(artifacts);
    if (folder !== null) return `runs:/${runId}/${folder}`;
    throw unknown(
      `run '${shown(runId)}' does not say which model it made: it has neither a tag training.output.model_uri nor exactly one folder of a model`,
    );
  }

  async function check(uri: string): Promise<void> {
    const location = readModelUri(uri);
    // Another store's URI may hold a key: it is not repeated.
    const what = /^(runs|models):/.test(uri) ? `model_uri '${shown(uri)}'` : "this model_uri";
    if (location === null) {
      throw unknown(
        `${what} cannot be checked: it is neither runs:/ nor models:/, nor a folder among a run's artifacts`,
      );
    }
    if (mlflow === null) throw notAsked(what);
    if (!(await isThere(mlflow, location))) throw unknown(`MLflow does not know ${what}`);
  }

  async function checkPackage(uri: string): Promise<void> {
    try {
      await packages.resolve(uri);
    } catch (cause) {
      throw asReferenceError(cause);
    }
  }

  return {
    async resolve(reference, mustBeKnown) {
      const { modelUri, trackingId } = reference;
      const uri = modelUri === null || modelUri === "" ? null : checkText(modelUri);
      if (uri === null && (trackingId ?? "") === "") {
        throw new SluiceError(
          "REFERENCE_MISSING",
          "a model_uri or a tracking_id is required: model_uri is required without a tracking_id",
        );
      }
      const resolved = uri ?? (await uriOfRun(trackingId!));
      if (isRegistryUri(resolved)) await checkPackage(resolved);
      else if (mustBeKnown) await check(resolved);
      return resolved;
    },
  };
}

/** @throws REFERENCE_MISSING, INVALID_PARAMETER */
function checkText(modelUri: string): string {
  const uri = modelUri.trim();
  if (uri === "") throw new SluiceError("REFERENCE_MISSING", "Model URI cannot be empty");
  // No program takes an argument that holds one.
  if (uri.includes("\0")) throw new SluiceError("INVALID_PARAMETER", "model_uri must not hold a NUL character");
  return uri;
}

/** The folder of a run's root that holds its model: `model`, else the only one whose name holds that word. Pure. */
export function modelFolder(artifacts: readonly Artifact[]): string | null {
  const folders = artifacts.filter(({ isFolder }) => isFolder).map(({ path }) => path);
  if (folders.includes("model")) return "model";
  const found = folders.filter((path) => path.includes("model"));
  return found.length === 1 ? found[0]! : null;
}

async function isThere(mlflow: Mlflow, location: ModelLocation): Promise<boolean> {
  if (location.kind !== "run" && location.kind !== "store") {
    return present(await mlflow.models.version(location)) !== "unknown";
  }
  if (present(await locateRun(mlflow, location)) === "unknown") return false;
  const inside = present(await mlflow.models.artifacts(location.runId, location.path));
  return inside !== "unknown" && inside.length > 0;
}

/** @throws TRACKING_UNAVAILABLE */
function present<Value>(answer: Asked<Value>): Value | "unknown" {
  if (answer !== "away") return answer as Value | "unknown";
  throw new SluiceError("TRACKING_UNAVAILABLE", "MLflow cannot be asked now, so the reference cannot be looked up", {
    retryAfterMs: RETRY_AFTER_MS,
  });
}

function unknown(message: string): SluiceError {
  return new SluiceError("REFERENCE_UNKNOWN", message);
}

function notAsked(what: string): SluiceError {
  return new SluiceError(
    "REFERENCE_UNKNOWN",
    `${what} cannot be looked up: tracking.uri is no http:// or https:// URL`,
    {
      hint: "Name a model_uri, or have an operator set tracking.uri to MLflow's server.",
    },
  );
}
