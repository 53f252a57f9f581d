/**
 * What is done next so that a model which follows a version of the registry runs with it. Pure; `rollouts.ts` asks and acts.
 *
 * The new version's server is started beside the present one where there is room, and takes its place once it is ready. Where there is
 * no room the present one is stopped first, at a moment at which nothing holds it. Nothing is done for a model that does not run: its
 * next start takes the version of that moment.
 */
import type { ModelState } from "../../core/contract/models.js";

/** Whether a second server of the model could be started now. */
export type Room =
  | { readonly kind: "beside" }
  /** Not while the present one runs. */
  | { readonly kind: "alone" }
  /** By waiting, perhaps. */
  | { readonly kind: "later"; readonly why: string };

export interface Candidate {
  readonly uri: string;
  readonly state: ModelState;
  /** Why it is `failed`. */
  readonly problem: string | null;
}

export interface RolloutFacts {
  /** The followed version as it is now; null: there is none, or none is followed any more. */
  readonly wanted: string | null;
  /** The version that was given up: left alone as long as it is the wanted one. */
  readonly failed: string | null;
  readonly current: { readonly state: ModelState; readonly uri: string | null };
  /** The server that is to take the place of the present one. */
  readonly candidate: Candidate | null;
  /** A training is under way on the present server: it is asked for there alone. */
  readonly isTraining: boolean;
  /** Anything holds the present server. */
  readonly isHeld: boolean;
  readonly room: Room;
}

export type RolloutStep =
  /** Until something changes. */
  | { readonly do: "rest" }
  /** For something whose end is not always told. */
  | { readonly do: "wait"; readonly why: string }
  | { readonly do: "start"; readonly uri: string }
  | { readonly do: "switch" }
  | { readonly do: "stop-first"; readonly uri: string }
  /** The candidate is not wanted any more. */
  | { readonly do: "abandon" }
  /** The candidate's version does not run. */
  | { readonly do: "give-up"; readonly uri: string; readonly why: string };

export function planRollout(facts: RolloutFacts): RolloutStep {
  return facts.candidate === null ? begin(facts) : goOn(facts, facts.candidate);
}

function begin({ wanted, failed, current, isTraining, isHeld, room }: RolloutFacts): RolloutStep {
  if (wanted === null || wanted === current.uri || wanted === failed) return { do: "rest" };
  // What starts is waited for: it may be the wanted one, and two starts at once help nobody.
  if (current.state !== "ready" && current.state !== "unreachable") return { do: "rest" };
  if (isTraining) return { do: "wait", why: TRAINING };
  if (room.kind === "beside") return { do: "start", uri: wanted };
  if (room.kind === "later") return { do: "wait", why: room.why };
  return isHeld ? { do: "wait", why: IN_USE } : { do: "stop-first", uri: wanted };
}

function goOn({ wanted, current, isTraining }: RolloutFacts, candidate: Candidate): RolloutStep {
  if (candidate.uri !== wanted || candidate.uri === current.uri) return { do: "abandon" };
  if (candidate.state === "failed") {
    return { do: "give-up", uri: candidate.uri, why: candidate.problem ?? "it could not be started" };
  }
  // It died: whoever comes now waits for this one rather than for a start of its own.
  if (current.state === "absent" || current.state === "failed") return { do: "switch" };
  if (candidate.state !== "ready") return { do: "rest" };
  // Someone stops the present one: whatever comes of that, it is waited for.
  if (current.state === "draining") return { do: "wait", why: STOPPING };
  return isTraining ? { do: "wait", why: TRAINING } : { do: "switch" };
}

const TRAINING = "a training is under way on the present version";
const IN_USE = "there is no room for two servers, and the present one is in use";
const STOPPING = "the present server is being stopped";

export interface VersionsOfModel {
  readonly wanted: string | null;
  readonly failed: string | null;
  /** The version that was last ready; null: none, or it is gone. */
  readonly kept: string | null;
}

/** The version a start takes: the wanted one, or the last good one where that was given up. */
export function versionToStart({ wanted, failed, kept }: VersionsOfModel): string | null {
  return wanted !== null && wanted === failed && kept !== null ? kept : wanted;
}

/**
 * Whether a start that has failed for good is followed by one of the last good version.
 * @param tried what was started
 */
export function goesBack(tried: string, { wanted, kept }: VersionsOfModel): boolean {
  return tried === wanted && kept !== null && kept !== tried;
}
