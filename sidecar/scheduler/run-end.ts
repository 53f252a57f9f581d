/**
 * Whether a followed run is at its end, and how it ended. Pure.
 *
 * The trap of CMS 0.3.0 (reference cms-api 2.5): a training begins its run on one thread and works on another, so that its results land
 * in a second run with a name of MLflow's own making. The run named after the task stays RUNNING until the next training turns it
 * FAILED, or a shutdown KILLED. So siblings are looked at: runs of the same experiment that began within {@link SIBLING_WITHIN_MS}
 * after ours. Exactly one that carries the tags of a saved model is ours; two are nobody's, because nothing tells them apart.
 *
 * Evaluations save nothing, and failed trainings did not come so far. There the one sibling counts only when it is the only run of
 * any kind in the span and bears a name that MLflow makes up, not one that somebody gave.
 */
import { hasOutput, isRunFinal, type TrackedRun } from "../tracking/tracked-run.js";

export const SIBLING_WITHIN_MS = 60_000;

/** `eager-fox-123`: what MLflow calls a run that nobody named. */
const MADE_UP_NAME = /^[a-z]+-[a-z]+-\d{1,4}$/;

export type RunEnd =
  /** `sibling`: the run whose end and results are the named one's. */
  | { readonly kind: "finished"; readonly named: TrackedRun; readonly sibling: TrackedRun | null }
  | { readonly kind: "failed"; readonly exceptions: readonly string[] | null }
  | { readonly kind: "cancelled" }
  /** KILLED, and nobody asked for it. */
  | { readonly kind: "killed" }
  | { readonly kind: "lost"; readonly why: string };

export interface RunFacts {
  /** Somebody asked Sluice to cancel it, and the model server did not say that it would not. */
  readonly isCancelAsked: boolean;
  /** False for evaluations. */
  readonly savesModel: boolean;
}

/**
 * @param others runs of the same experiment, the named one may be among them; empty where only the model server can be asked
 * @returns null while it goes on
 */
export function decideRunEnd(named: TrackedRun, others: readonly TrackedRun[], facts: RunFacts): RunEnd | null {
  if (named.status === "FINISHED") return { kind: "finished", named, sibling: null };
  const exceptions = exceptionsOf(named);
  if (exceptions !== null && isRunFinal(named)) return { kind: "failed", exceptions };
  if (named.status === "KILLED" && facts.isCancelAsked) return { kind: "cancelled" };

  const sibling = findSibling(named, others, facts);
  if (sibling !== null && isRunFinal(sibling)) return endOfSibling(named, sibling, facts);
  if (!isRunFinal(named)) return null;
  if (facts.isCancelAsked) return { kind: "cancelled" };
  return named.status === "KILLED" ? { kind: "killed" } : { kind: "failed", exceptions };
}

/** The run of its span that is ours beyond doubt, or null. */
function findSibling(named: TrackedRun, others: readonly TrackedRun[], facts: RunFacts): TrackedRun | null {
  const near = others.filter((each) => each.runId !== named.runId && beganSoonAfter(named, each));
  const saved = near.filter(hasOutput);
  if (saved.length > 0) return saved.length === 1 ? saved[0]! : null;
  const [only] = near;
  if (only === undefined || near.length > 1 || !MADE_UP_NAME.test(only.runName)) return null;
  // A training that finished without a saved model cannot be told from a stranger's.
  return only.status === "FINISHED" && facts.savesModel ? null : only;
}

function beganSoonAfter(named: TrackedRun, other: TrackedRun): boolean {
  if (named.startedAtMs === null || other.startedAtMs === null || named.experimentId !== other.experimentId)
    return false;
  const afterMs = other.startedAtMs - named.startedAtMs;
  return afterMs >= 0 && afterMs <= SIBLING_WITHIN_MS;
}

function endOfSibling(named: TrackedRun, sibling: TrackedRun, { isCancelAsked }: RunFacts): RunEnd {
  if (sibling.status === "FINISHED") return { kind: "finished", named, sibling };
  const exceptions = exceptionsOf(sibling);
  if (isCancelAsked && exceptions === null) return { kind: "cancelled" };
  return sibling.status === "KILLED" ? { kind: "killed" } : { kind: "failed", exceptions };
}

/** What a run failed of: the tag `exception`, else all that begin with `exception_`; null when it names nothing. */
export function exceptionsOf({ tags }: TrackedRun): string[] | null {
  if (tags.exception !== undefined) return [tags.exception];
  const found = Object.keys(tags).filter((name) => name.startsWith("exception_"));
  return found.length === 0 ? null : found.map((name) => tags[name]!);
}
