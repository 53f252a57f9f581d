/** The result of a training task: CogStack Model Gateway's JSON (reference cmg-api 2.5), all keys always there. Pure. */
import { wireTime } from "../../core/contract/tasks.js";
import { runLink } from "../tracking/mlflow-rest.js";
import type { TrackedRun } from "../tracking/tracked-run.js";
import { exceptionsOf } from "./run-end.js";

export interface RunResult {
  readonly run: Readonly<Record<string, string>>;
  readonly timing: { started_at: string | null; finished_at: string | null; duration_seconds: number | null };
  readonly metrics: Readonly<Record<string, number>>;
  readonly params: Readonly<Record<string, string>>;
  readonly tags: Readonly<Record<string, string>>;
  readonly artifacts: { readonly artifact_uri: string };
  readonly error: readonly string[] | null;
}

/** In a result whose numbers come from another run than the named one: that run's id. */
export const SIBLING_TAG = "sluice.results_of_run";

/** @param sibling the run that really holds the results, where it is not the named one */
export function describeResult(named: TrackedRun, sibling: TrackedRun | null, trackingUri: string): RunResult {
  const told = sibling ?? named;
  const { startedAtMs } = named;
  const { endedAtMs } = told;
  return {
    run: {
      run_id: named.runId,
      run_name: named.runName,
      experiment_id: named.experimentId,
      status: told.status,
      lifecycle_stage: named.lifecycleStage,
      internal_url: runLink(trackingUri, named),
    },
    timing: {
      started_at: startedAtMs === null ? null : wireTime(startedAtMs),
      finished_at: endedAtMs === null ? null : wireTime(endedAtMs),
      duration_seconds: startedAtMs === null || endedAtMs === null ? null : (endedAtMs - startedAtMs) / 1_000,
    },
    // What was written with the run's id in hand went to the named one (reference cms-api 2.5).
    metrics: { ...named.metrics, ...told.metrics },
    params: { ...named.params, ...told.params },
    tags: tagsOf(named, sibling),
    artifacts: { artifact_uri: told.artifactUri },
    error: exceptionsOf(told),
  };
}

function tagsOf(named: TrackedRun, sibling: TrackedRun | null): Record<string, string> {
  if (sibling === null) return named.tags;
  const { "mlflow.runName": _madeUp, ...tags } = sibling.tags;
  return { ...named.tags, ...tags, [SIBLING_TAG]: sibling.runId };
}

/** The text form CMG's clients know: `['E0', 'E1']`, or `None`. */
export function exceptionList(exceptions: readonly string[] | null): string {
  return exceptions === null ? "None" : `[${exceptions.map(quote).join(", ")}]`;
}

/** As Python writes text down. */
function quote(text: string): string {
  const mark = text.includes("'") && !text.includes('"') ? '"' : "'";
  const escaped = text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll("\r", "\\r").replaceAll("\t", "\\t");
  return `${mark}${mark === "'" ? escaped.replaceAll("'", "\\'") : escaped}${mark}`;
}
