/** The run whose artifacts a model lies among. */
import type { Asked, Mlflow } from "../tracking/mlflow.js";
import { isSameRoot, type ModelLocation } from "../tracking/model-uri.js";
import type { TrackedRun } from "../tracking/tracked-run.js";

export type AmongArtifacts = Extract<ModelLocation, { kind: "run" | "store" }>;

/** A place that bears a run's id, but is not where that run keeps its artifacts, is unknown. */
export async function locateRun(
  mlflow: Mlflow,
  location: AmongArtifacts,
  signal?: AbortSignal,
): Promise<Asked<TrackedRun>> {
  const run = await mlflow.getRun(location.runId, signal);
  if (run === "unknown" || run === "away" || location.kind === "run") return run;
  return isSameRoot(run.artifactUri, location.root) ? run : "unknown";
}
