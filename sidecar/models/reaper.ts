/** Which managed models are past their time. Pure; `reaper-jobs.ts` asks and acts. */
import type { DeploymentType } from "../../core/contract/models.js";

/** CMG's words, also in its metrics. */
export type ReapReason = "fixed_ttl_expired" | "idle_ttl_expired";

export interface Mortal {
  readonly name: string;
  readonly deploymentType: DeploymentType;
  readonly isRunning: boolean;
  readonly isHeld: boolean;
  /** Milliseconds since the last lease's end, or since it became ready when nobody has used it; null while it does not run, or is held. */
  readonly idleMs: number | null;
  /** Null: never stopped for idleness. */
  readonly idleTtlMs: number | null;
  /** Epoch ms; null: never. */
  readonly expiresAtMs: number | null;
}

export interface Reap {
  readonly name: string;
  readonly deploymentType: DeploymentType;
  readonly reason: ReapReason;
  /** How long it was idle; null for a fixed time. */
  readonly idleMs: number | null;
}

export interface ReapPlan {
  readonly reaps: readonly Reap[];
  /** Past their fixed time and held: to be looked at again when their last lease ends. */
  readonly overdue: readonly string[];
}

/** @param now epoch ms */
export function planReaps(models: readonly Mortal[], now: number): ReapPlan {
  const expired = models.filter(({ expiresAtMs }) => expiresAtMs !== null && now >= expiresAtMs);
  const idle = models.filter((model) => !expired.includes(model) && isIdleTooLong(model));
  return {
    reaps: [
      ...expired
        .filter(({ isHeld }) => !isHeld)
        .map(
          ({ name, deploymentType }) => ({ name, deploymentType, reason: "fixed_ttl_expired", idleMs: null }) as const,
        ),
      ...idle.map(
        ({ name, deploymentType, idleMs }) => ({ name, deploymentType, reason: "idle_ttl_expired", idleMs }) as const,
      ),
    ],
    overdue: expired.filter(({ isHeld }) => isHeld).map(({ name }) => name),
  };
}

function isIdleTooLong({ isRunning, isHeld, idleMs, idleTtlMs }: Mortal): boolean {
  return isRunning && !isHeld && idleMs !== null && idleTtlMs !== null && idleMs >= idleTtlMs;
}
