/**
 * Which of the model servers that are to be started may start now, and which idle ones make room for them. Pure; its owner is
 * `starts.ts`.
 *
 * First come, first served: whoever waits keeps what it waits for from those who came later, so that a large model is not passed over
 * for ever by small ones. What takes nothing of that goes on.
 */

import { formatMemory } from "./drivers/limits.js";

/** A server that is to be started and has not been admitted yet. */
export interface Applicant {
  readonly name: string;
  readonly needBytes: number;
  /** How long it waits already. */
  readonly waitedMs: number;
}

/** A server that runs, or whose start was admitted. */
export interface Resident {
  readonly name: string;
  readonly needBytes: number;
  readonly isStarting: boolean;
  /** It is being stopped: what it holds will be free. */
  readonly isLeaving: boolean;
  /** Milliseconds without a lease; null while it is held, or cannot be stopped now. */
  readonly idleMs: number | null;
}

export interface AdmissionLimits {
  /** Starts at a time; null: no limit. */
  readonly maxStarts: number | null;
  /** For all servers together; null: no limit. */
  readonly budgetBytes: number | null;
  /** Groups of models of which one at a time may run. */
  readonly neverTogether: readonly (readonly string[])[];
}

export type Verdict =
  | { readonly name: string; readonly do: "start" }
  /** It can never fit. */
  | { readonly name: string; readonly do: "refuse"; readonly problem: string }
  | {
      readonly name: string;
      readonly do: "wait";
      /** What it waits for, in words fit for a caller. */
      readonly problem: string;
      /** Idle servers to stop for it. */
      readonly evict: readonly string[];
      /** When something idle may be stopped for it, in milliseconds from now; null: not by waiting alone. */
      readonly againMs: number | null;
    };

/**
 * Idle for less than this, a server is not stopped to make room: whoever it was started for, or whose next request is on its way,
 * must find it.
 */
export const EVICTABLE_AFTER_MS = 2_000;
/** Whoever has waited for so long takes the first moment without a lease: steady traffic on one model must not shut out another. */
export const PATIENT_FOR_MS = 10_000;

/** @param applicants the first to come first; @returns one verdict each, in their order */
export function decideAdmission(
  applicants: readonly Applicant[],
  residents: readonly Resident[],
  limits: AdmissionLimits,
): Verdict[] {
  const room = new Room(residents, limits);
  return applicants.map((applicant) => room.place(applicant));
}

interface Obstacle {
  readonly problem: string;
  /** Servers of which enough must go; null: only time helps. */
  readonly victims: readonly Resident[] | null;
}

class Room {
  readonly #limits: AdmissionLimits;
  readonly #residents: Resident[];
  readonly #waiting: Applicant[] = [];
  /** Chosen to be stopped for one that came earlier. */
  readonly #evicted = new Set<string>();

  constructor(residents: readonly Resident[], limits: AdmissionLimits) {
    this.#residents = [...residents];
    this.#limits = limits;
  }

  place(applicant: Applicant): Verdict {
    const { name, needBytes } = applicant;
    const { budgetBytes } = this.#limits;
    if (budgetBytes !== null && needBytes > budgetBytes) {
      const problem = `it needs ${formatMemory(needBytes)} of memory and models.deployment.memory.budget is ${formatMemory(budgetBytes)}`;
      return { name, do: "refuse", problem };
    }
    const rivals = this.#rivals(applicant);
    const memory = this.#memory(applicant, rivals?.victims ?? []);
    const obstacles = [rivals, memory, this.#slots()].filter((each) => each !== null);
    if (obstacles.length === 0) {
      this.#residents.push({ name, needBytes, isStarting: true, isLeaving: false, idleMs: null });
      return { name, do: "start" };
    }
    this.#waiting.push(applicant);
    return this.#wait(applicant, obstacles);
  }

  /** Stops for it only what, together, lets it start: a stop that does not help would be for nothing. */
  #wait({ name, waitedMs }: Applicant, obstacles: readonly Obstacle[]): Verdict {
    const problem = obstacles[0]!.problem;
    const wanted = obstacles.every(({ victims }) => victims !== null)
      ? new Set(obstacles.flatMap(({ victims }) => victims!))
      : new Set<Resident>();
    const evictableAfterMs = waitedMs < PATIENT_FOR_MS ? EVICTABLE_AFTER_MS : 0;
    const againMs = Math.max(0, ...[...wanted].map(({ idleMs }) => evictableAfterMs - idleMs!));
    if (againMs > 0) return { name, do: "wait", problem, evict: [], againMs };
    for (const victim of wanted) this.#evicted.add(victim.name);
    return { name, do: "wait", problem, evict: [...wanted].map((victim) => victim.name), againMs: null };
  }

  #rivals({ name }: Applicant): Obstacle | null {
    const rivals = new Set(this.#limits.neverTogether.filter((group) => group.includes(name)).flat());
    rivals.delete(name);
    const before = this.#waiting.find((each) => rivals.has(each.name));
    const present = this.#residents.filter((each) => rivals.has(each.name));
    if (before === undefined && present.length === 0) return null;
    const names = [...new Set([...present, ...(before === undefined ? [] : [before])].map((each) => `'${each.name}'`))];
    const problem = `it waits for ${names.join(" and ")} to go: models.deployment.never_together keeps them apart`;
    const staying = present.filter((each) => !this.#isGoing(each));
    const canAllGo = before === undefined && staying.every(({ idleMs }) => idleMs !== null);
    return { problem, victims: canAllGo ? staying : null };
  }

  /** @param going what is stopped for another reason than memory */
  #memory({ name, needBytes }: Applicant, going: readonly Resident[]): Obstacle | null {
    const { budgetBytes } = this.#limits;
    if (budgetBytes === null || needBytes === 0) return null;
    const taken = sum(this.#residents);
    const promised = sum(this.#waiting);
    let lacking = taken + promised + needBytes - budgetBytes;
    if (lacking <= 0) return null;
    const free = Math.max(0, budgetBytes - taken - promised);
    const problem = `it waits for memory: it needs ${formatMemory(needBytes)}, ${formatMemory(free)} of models.deployment.memory.budget is free`;
    lacking -= sum(this.#residents.filter((each) => this.#isGoing(each) || going.includes(each)));
    const victims: Resident[] = [];
    for (const each of this.#idleLongestFirst(name, going)) {
      if (lacking <= 0) break;
      victims.push(each);
      lacking -= each.needBytes;
    }
    return { problem, victims: lacking <= 0 ? victims : null };
  }

  #slots(): Obstacle | null {
    const { maxStarts } = this.#limits;
    const starting = this.#residents.filter(({ isStarting }) => isStarting).length;
    if (maxStarts === null || starting < maxStarts) return null;
    const words = maxStarts === 1 ? "another start" : `${maxStarts} other starts`;
    const setting = "models.deployment.auto.max_concurrent_deployments";
    return { problem: `it waits for ${words} to end: ${setting} is ${maxStarts}`, victims: null };
  }

  #idleLongestFirst(name: string, going: readonly Resident[]): Resident[] {
    return this.#residents
      .filter((each) => each.name !== name && each.idleMs !== null && each.needBytes > 0)
      .filter((each) => !this.#isGoing(each) && !going.includes(each))
      .sort((one, other) => other.idleMs! - one.idleMs!);
  }

  #isGoing({ name, isLeaving }: Resident): boolean {
    return isLeaving || this.#evicted.has(name);
  }
}

function sum(needs: readonly { readonly needBytes: number }[]): number {
  return needs.reduce((total, { needBytes }) => total + needBytes, 0);
}
