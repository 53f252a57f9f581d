/** Who starts and who waits: owns the queue of starts that `admission.ts` decides on. */
import type { Clock } from "../../core/runtime/clock.js";
import type { Logger } from "../../core/runtime/logger.js";
import { type AdmissionLimits, type Applicant, decideAdmission, type Resident, type Verdict } from "./admission.js";
import { StartRefused, startFailure } from "./drivers/driver.js";

export interface StartsOptions {
  /** Asked at every look. */
  readonly limits: () => AdmissionLimits;
  /** All managed servers that run or start, those that wait here included. */
  readonly residents: () => readonly Resident[];
  /** Whether anybody still waits for this model. */
  readonly isWanted: (name: string) => boolean;
  /** Stops an idle server; resolves when it is gone, or goes on. */
  readonly evict: (name: string) => Promise<void>;
  /** Nobody waits for it any more. */
  readonly callOff: (name: string) => void;
  /** What a start waits for; null when it waits no longer. */
  readonly onWait: (name: string, problem: string | null) => void;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Bound on a wait; whoever waits for the model has a shorter one, but a queue of tasks may wait for days. */
const MAX_WAIT_MS = 86_400_000;
/** While something waits, the whole is looked at again this often: not every change is told. */
const LOOK_MS = 1_000;

interface Waiting {
  readonly needBytes: number;
  readonly sinceMs: number;
  readonly admit: () => void;
  readonly refuse: (cause: Error) => void;
  problem: string | null;
}

export class Starts {
  readonly #options: StartsOptions;
  /** In the order in which they came. */
  readonly #waiting = new Map<string, Waiting>();
  /** Let in, and not yet seen to have ended: a start that is tried again keeps its place. */
  readonly #admitted = new Set<string>();
  readonly #evicting = new Set<string>();
  #cancelTimer: () => void = () => {};
  #isLooking = false;
  #isClosed = false;

  constructor(options: StartsOptions) {
    this.#options = options;
  }

  /** Resolves when the model may start. @throws MODEL_START_FAILED when the signal aborts, {@link StartRefused} when it can never fit */
  async admit(name: string, needBytes: number, signal: AbortSignal): Promise<void> {
    if (this.#admitted.has(name)) return;
    if (this.#isClosed) throw new StartRefused("Sluice is stopping");
    if (signal.aborted) throw startFailure("its start was called off");
    await new Promise<void>((resolve, reject) => {
      const onAbort = () => this.#settle(name, () => reject(startFailure("its start was called off")));
      const done = (act: () => void) => () => {
        signal.removeEventListener("abort", onAbort);
        act();
      };
      signal.addEventListener("abort", onAbort, { once: true });
      this.#waiting.set(name, {
        needBytes,
        sinceMs: this.#options.clock.elapsed(),
        problem: null,
        admit: done(resolve),
        refuse: (cause) => done(() => reject(cause))(),
      });
      this.look();
    });
  }

  /** What a start at this moment would meet: after all who wait, and beside all that runs but itself. */
  verdictFor(name: string, needBytes: number, limits = this.#options.limits()): Verdict {
    const applicants = [...this.#applicants(), { name, needBytes, waitedMs: 0 }];
    const others = this.#options.residents().filter((each) => each.name !== name && !this.#waiting.has(each.name));
    return decideAdmission(applicants, others, limits).at(-1)!;
  }

  /** Lets it in now or not at all: it waits for nobody, and nobody is stopped for it. */
  admitNow(name: string, needBytes: number): boolean {
    if (this.#admitted.has(name)) return true;
    if (this.#isClosed || this.verdictFor(name, needBytes).do !== "start") return false;
    this.#admitted.add(name);
    return true;
  }

  #applicants(): Applicant[] {
    const nowMs = this.#options.clock.elapsed();
    return [...this.#waiting].map(([name, { needBytes, sinceMs }]) => ({ name, needBytes, waitedMs: nowMs - sinceMs }));
  }

  /** To be called when a server has changed or a lease has ended. */
  look(): void {
    // What is done below tells of changes itself.
    if (this.#isLooking) return;
    this.#isLooking = true;
    try {
      this.#look();
    } finally {
      this.#isLooking = false;
    }
  }

  #look(): void {
    this.#cancelTimer();
    const residents = this.#options.residents();
    const starting = new Set(residents.filter(({ isStarting }) => isStarting).map(({ name }) => name));
    for (const name of this.#admitted) if (!starting.has(name)) this.#admitted.delete(name);
    if (this.#waiting.size === 0) return;
    const others = residents.filter(({ name }) => !this.#waiting.has(name));
    let againMs = LOOK_MS;
    for (const verdict of decideAdmission(this.#applicants(), others, this.#options.limits())) {
      againMs = Math.min(againMs, this.#follow(verdict));
    }
    if (this.#waiting.size > 0) this.#cancelTimer = this.#options.clock.after(againMs, () => this.look());
  }

  /** @returns when to look again, in milliseconds */
  #follow(verdict: Verdict): number {
    const { name } = verdict;
    const waiting = this.#waiting.get(name);
    if (waiting === undefined) return LOOK_MS;
    if (verdict.do === "start") {
      this.#admitted.add(name);
      this.#settle(name, waiting.admit);
    } else if (verdict.do === "refuse") {
      this.#settle(name, () => waiting.refuse(new StartRefused(verdict.problem)));
    } else {
      this.#keepWaiting(name, waiting, verdict);
      return verdict.againMs ?? LOOK_MS;
    }
    return LOOK_MS;
  }

  #keepWaiting(name: string, waiting: Waiting, { problem, evict }: Extract<Verdict, { do: "wait" }>): void {
    if (this.#options.clock.elapsed() - waiting.sinceMs >= MAX_WAIT_MS) {
      this.#settle(name, () => waiting.refuse(new StartRefused(`${problem}; it has waited too long`)));
      return;
    }
    // One look later, so that whoever waits no more had the time to say so and whoever comes had the time to come.
    const isNew = waiting.problem === null;
    if (problem !== waiting.problem) {
      waiting.problem = problem;
      this.#options.onWait(name, problem);
      if (isNew) this.#options.logger.info({ event: "model_waits", model: name, reason: problem }, "a start waits");
    }
    if (!isNew && !this.#options.isWanted(name)) this.#options.callOff(name);
    else for (const victim of evict) this.#evict(victim, name);
  }

  #evict(victim: string, name: string): void {
    if (this.#evicting.has(victim)) return;
    this.#evicting.add(victim);
    this.#options.logger.info({ event: "model_evicted", model: victim, for: name }, "an idle model makes room");
    const over = () => {
      this.#evicting.delete(victim);
      this.look();
    };
    this.#options.evict(victim).then(over, over);
  }

  #settle(name: string, act: () => void): void {
    const waiting = this.#waiting.get(name);
    if (waiting === undefined) return;
    this.#waiting.delete(name);
    if (waiting.problem !== null) this.#options.onWait(name, null);
    act();
  }

  /** Refuses whoever waits, and whoever comes. */
  close(): void {
    this.#isClosed = true;
    this.#cancelTimer();
    for (const [name, { refuse }] of this.#waiting)
      this.#settle(name, () => refuse(new StartRefused("Sluice is stopping")));
  }
}
