/** What is shown and counted of a rollout. */

export interface RolloutObserver {
  rolledOut(name: string, outcome: RolloutOutcome): void;
}

/** `superseded`: another version, or a stop, came before it was ready. */
export const ROLLOUT_OUTCOMES = ["switched", "failed", "superseded"] as const;
export type RolloutOutcome = (typeof ROLLOUT_OUTCOMES)[number];

/** `settled`: nothing is to be done, also while it does not run; `waiting`: see the problem; `failed`: the wanted one does not run. */
export const ROLLOUT_PHASES = ["settled", "waiting", "starting", "failed"] as const;

/** Of a model that follows a version. */
export interface RolloutState {
  /** The version or alias. */
  readonly follows: string;
  /** What that is now; null where it is nothing that can be deployed. */
  readonly wanted: string | null;
  readonly phase: (typeof ROLLOUT_PHASES)[number];
  readonly problem: string | null;
  /** Servers that were replaced and are still in use. */
  readonly formerServers: number;
}
