/** What MLflow knows of the models that are listed and started. Kept for a short while, and left out while MLflow is away. */
import { LRUCache } from "lru-cache";
import type { ModelTracking } from "../../core/contract/model-management.js";
import type { Clock } from "../../core/runtime/clock.js";
import { within } from "../../core/runtime/within.js";
import type { Asked, Mlflow } from "../tracking/mlflow.js";
import type { ModelFile } from "../tracking/model-file.js";
import { type ModelLocation, readModelUri } from "../tracking/model-uri.js";
import { FewAtATime } from "./few-at-a-time.js";
import { locateRun } from "./located-run.js";

/** Neither rejects, neither takes longer than {@link LONGEST_MS}; null where MLflow does not know the URI, or is away. */
export interface ModelKnowledge {
  tracking(modelUri: string): Promise<ModelTracking | null>;
  /** The tag `model_type` of the first registered version of the URI's run. */
  modelType(modelUri: string): Promise<string | null>;
}

const LONGEST_MS = 5_000;
/** How long an answer is good for: what is known of a URI hardly changes, what is not may come any moment. */
const KNOWN_MS = 60_000;
const UNKNOWN_MS = 5_000;
const MAX_KEPT = 1_000;
/** Questions to MLflow at a time: a list of thousands of models must open neither thousands of connections nor hold us up. */
const MOST_AT_ONCE = 16;

/** @param mlflow null where `tracking.uri` cannot be asked over HTTP */
export function createModelKnowledge(mlflow: Mlflow | null, clock: Clock): ModelKnowledge {
  if (mlflow === null) return { tracking: async () => null, modelType: async () => null };
  const turns = new FewAtATime(MOST_AT_ONCE);
  return {
    tracking: keep(clock, (location, signal) => turns.run(signal, () => askTracking(mlflow, location, signal))),
    modelType: keep(clock, (location, signal) => turns.run(signal, () => askType(mlflow, location, signal))),
  };
}

interface Kept<Value> {
  readonly answer: Promise<Value | null>;
  /** Elapsed ms; while it is asked for, without end: who comes meanwhile waits for the same answer. */
  goodUntilMs: number;
}

type Question<Value> = (location: ModelLocation, signal: AbortSignal) => Promise<Value | null>;

function keep<Value>(clock: Clock, question: Question<Value>): (uri: string) => Promise<Value | null> {
  const kept = new LRUCache<string, Kept<Value>>({ max: MAX_KEPT });
  return async (uri) => {
    const location = readModelUri(uri);
    if (location === null) return null;
    const last = kept.get(uri);
    if (last !== undefined && clock.elapsed() < last.goodUntilMs) return last.answer;
    const answer = within(clock, LONGEST_MS, undefined, (signal) => question(location, signal)).catch(() => null);
    const entry: Kept<Value> = { answer, goodUntilMs: Number.POSITIVE_INFINITY };
    kept.set(uri, entry);
    const value = await answer;
    entry.goodUntilMs = clock.elapsed() + (value === null ? UNKNOWN_MS : KNOWN_MS);
    return value;
  };
}

/** @throws the signal's reason */
async function askTracking(
  mlflow: Mlflow,
  location: ModelLocation,
  signal: AbortSignal,
): Promise<ModelTracking | null> {
  const { models } = mlflow;
  if (location.kind === "run" || location.kind === "store") {
    const run = orNull(await locateRun(mlflow, location, signal));
    return run === null ? null : trackingOf(orNull(await models.fileOfRun(run, location.path, signal)), run.runId);
  }
  const version = orNull(await models.version(location, signal));
  return version === null ? null : trackingOf(orNull(await models.fileOfVersion(version, signal)), version.runId);
}

/** @throws the signal's reason */
async function askType(mlflow: Mlflow, location: ModelLocation, signal: AbortSignal): Promise<string | null> {
  const { models } = mlflow;
  const isAmongArtifacts = location.kind === "run" || location.kind === "store";
  const from = isAmongArtifacts ? await locateRun(mlflow, location, signal) : await models.version(location, signal);
  const runId = orNull<{ readonly runId: string }>(from)?.runId ?? "";
  if (runId === "") return null;
  const [first] = orNull(await models.versionsOfRun(runId, signal)) ?? [];
  return first?.tags.model_type ?? null;
}

function orNull<Value extends object>(answer: Asked<Value>): Value | null {
  return answer === "unknown" || answer === "away" ? null : (answer as Value);
}

function trackingOf(file: ModelFile | null, runId: string): ModelTracking | null {
  if (file === null) return null;
  return {
    uuid: file.uuid,
    run_id: file.runId === "" ? runId : file.runId,
    artifact_path: file.artifactPath,
    utc_time_created: file.createdUtc,
    mlflow_version: file.mlflowVersion,
    signature: file.signature,
    flavors: file.flavors,
  };
}
