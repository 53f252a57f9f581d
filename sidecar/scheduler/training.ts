/**
 * Follows a training (or evaluation) that a model server accepted with 202 until its run is final; and finds out whether one that was
 * sent without an answer was accepted. Every following has an end: the run's, its loss, or `scheduler.training_limit`.
 */
import type { Clock } from "../../core/runtime/clock.js";
import type { TrackedRun } from "../tracking/tracked-run.js";
import { decideRunEnd, type RunEnd, type RunFacts } from "./run-end.js";
import { CALM, decideDoubt, decideLoss, type FollowBounds, type Patience, remember } from "./run-patience.js";
import type { Look, RunSources } from "./run-sources.js";

const POLL_MS = 1_000;
const POLL_MAX_MS = 5_000;

export interface FollowOptions {
  readonly sources: RunSources;
  readonly clock: Clock;
  /** Asked anew at every look: a reload may change them. */
  readonly bounds: () => FollowBounds;
  /** How long the run has been under way when the following begins, e.g. before a restart of ours. */
  readonly ageMs: number;
  readonly facts: () => RunFacts;
  readonly signal: AbortSignal;
}

/** @throws the signal's reason when aborted: the run goes on, and is followed again after a restart */
export async function followRun(options: FollowOptions): Promise<RunEnd> {
  const { sources, clock, signal } = options;
  const bornMs = clock.elapsed() - options.ageMs;
  let unexplainedSinceMs: number | null = null;
  for await (const { look, why } of watch(options)) {
    const end = look.run === null ? null : await endOf(options, look.run);
    if (end?.kind === "finished" && look.server === "there")
      return { ...end, named: await sources.withMetrics(end.named, signal) };
    if (end !== null && look.isTrackerAway && isUnexplained(end)) unexplainedSinceMs ??= clock.elapsed();
    else if (end !== null) return end;
    if (end !== null && clock.elapsed() - unexplainedSinceMs! >= options.bounds().lostAfterMs) return end;
    if (why !== null) return { kind: "lost", why };
    const { limitMs } = options.bounds();
    if (limitMs !== null && clock.elapsed() - bornMs >= limitMs) {
      return {
        kind: "lost",
        why: `the run was not final ${limitMs / 1_000} s after its start (scheduler.training_limit)`,
      };
    }
  }
  throw signal.reason;
}

/**
 * Looks for a run whose 202 never came, until somebody knows it or nobody has known it for as long as a lost run's bound.
 * @returns null when there is no such run
 * @throws the signal's reason
 */
export async function findRun(options: Omit<FollowOptions, "facts" | "ageMs">): Promise<TrackedRun | null> {
  for await (const { look, why } of watch(options)) {
    if (look.run !== null) return look.run;
    if (why !== null) return null;
  }
  throw options.signal.reason;
}

async function endOf({ sources, facts, signal }: FollowOptions, run: TrackedRun): Promise<RunEnd | null> {
  const siblings = run.status === "FINISHED" ? [] : await sources.siblings(run, signal);
  return decideRunEnd(run, siblings, facts());
}

/** In the trap that is how a finished run looks while MLflow, which knows its sibling, is away: it is waited for a little. */
function isUnexplained(end: RunEnd): boolean {
  return end.kind === "killed" || (end.kind === "failed" && end.exceptions === null);
}

/** One look after the other, with the reason to give up once there is one; ends when the signal aborts. */
async function* watch(
  options: Pick<FollowOptions, "sources" | "clock" | "bounds" | "signal">,
): AsyncGenerator<{ look: Look; why: string | null }> {
  const { sources, clock, bounds, signal } = options;
  let patience: Patience = CALM;
  for (let pauseMs = POLL_MS; !signal.aborted; pauseMs = Math.min(pauseMs * 1.5, POLL_MAX_MS)) {
    const look = await sources.look(signal);
    const nowMs = clock.elapsed();
    patience = remember(patience, decideDoubt(look), nowMs);
    const { lostAfterMs } = bounds();
    yield { look, why: decideLoss(patience, nowMs, lostAfterMs) };
    await clock.sleep(Math.min(pauseMs, lostAfterMs / 2), signal);
  }
}
