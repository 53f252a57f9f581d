/**
 * The life of one model server as a pure machine: (life, event, now) → (life, actions). Its one owner is `server.ts`.
 *
 * | from | event | to |
 * | --- | --- | --- |
 * | absent, failed | wanted (startable only) | starting |
 * | absent, failed | found: it runs already | starting |
 * | starting, unreachable | checked: ready | ready |
 * | starting | exited, start-failed | starting again after a pause, or failed; a found one: absent, or starting when wanted |
 * | starting | start-failed for good | failed |
 * | starting | checked or due after the start's bound; of a found and silent one an hour later | failed, and it is stopped |
 * | ready | checked: refused three times, silent over 200 s | unreachable |
 * | ready, unreachable | exited | absent: the next request starts it |
 * | starting, ready, unreachable | stop-asked | draining; between two starts: absent |
 * | draining | wanted while something still holds it, or called off | what it was before: the stop is called off |
 * | draining | drained, then stopped | absent, or starting when it was wanted meanwhile |
 *
 * A start's bound counts from its program's first launch: what comes before it (a place among the starts under way, memory) has a bound of
 * its own, the driver's.
 *
 * `now` and all times are milliseconds that never jump: when somebody sets the machine's clock, no start is late and no server silent.
 *
 * Events that carry `run` tell of one particular run of the server; those of an earlier run change nothing.
 */
import type { ModelState } from "../../core/contract/models.js";
import {
  type CheckOutcome,
  decideReachability,
  type Health,
  LONGEST_SILENCE_MS,
  SILENCE_TO_UNREACHABLE_MS,
  WELL,
} from "./reachability.js";

export interface LifeRules {
  /** Whether a request may start it. */
  readonly startable: boolean;
  /** Bound on a start from its first launch on, retries included; may have been learned from past starts of this model. */
  readonly startTimeoutMs: number;
  /** Starts after the first one before it is `failed`. */
  readonly retryAttempts: number;
  /** Between checks of a server that somebody else runs and that is not ready, and after a first refusal. */
  readonly probeIntervalMs: number;
  /** Between checks of a ready server. */
  readonly recheckIntervalMs: number;
}

export interface Life {
  readonly state: ModelState;
  /** Number of the present or last run of the server; grows by one with every start. */
  readonly run: number;
  /** Starts made since the server was last wanted; 0 for one that was found. */
  readonly attempt: number;
  /** When the start must have ended; null before its first launch, and where it has no bound. */
  readonly startBy: number | null;
  /** When the present run's program was launched, while it starts; null for a found one. */
  readonly launchedAt: number | null;
  /** The pause before the next check of a server that is starting. */
  readonly probeDelayMs: number;
  readonly health: Health;
  /** A request came while it was draining, or while a found server had not answered yet. */
  readonly wantedAgain: boolean;
  /** While it drains, what it was before; null once it is being ended, too late to call that off. */
  readonly before: "starting" | "ready" | "unreachable" | null;
  /** A start has failed and the next has not begun: nothing runs. */
  readonly isPausing: boolean;
  /** Why it is `failed` or `unreachable`. */
  readonly problem: string | null;
}

export const UNBORN: Life = {
  state: "absent",
  run: 0,
  attempt: 0,
  startBy: null,
  launchedAt: null,
  probeDelayMs: 0,
  health: WELL,
  wantedAgain: false,
  before: null,
  isPausing: false,
  problem: null,
};

export type LifeEvent =
  /** A request needs it. `held`: something holds a lease on it. */
  | { readonly type: "wanted"; readonly held: boolean }
  /** It runs already: a static server, a container, a process left by an earlier sidecar. */
  | { readonly type: "found" }
  /** The start action worked: its program runs, whether or not it answers. */
  | { readonly type: "launched"; readonly run: number }
  /** `isFinal`: trying again would end the same way. */
  | { readonly type: "start-failed"; readonly run: number; readonly problem: string; readonly isFinal?: boolean }
  | { readonly type: "exited"; readonly run: number; readonly cause: string }
  | { readonly type: "checked"; readonly run: number; readonly outcome: CheckOutcome }
  /** The time asked for by a `wake` action has come. */
  | { readonly type: "due"; readonly run: number }
  | { readonly type: "stop-asked" }
  /** Whoever asked for the stop does not wait for it any longer. */
  | { readonly type: "stop-called-off" }
  /** Nothing holds a lease on it any more. */
  | { readonly type: "drained" }
  | { readonly type: "stopped"; readonly run: number };

export type LifeAction =
  | { readonly do: "start"; readonly run: number }
  | { readonly do: "check"; readonly run: number; readonly afterMs: number }
  | { readonly do: "wake"; readonly run: number; readonly afterMs: number }
  | { readonly do: "drain" }
  | { readonly do: "stop"; readonly run: number }
  | {
      readonly do: "tell";
      readonly what: "ready" | "failed" | "unreachable" | "exited" | "retry";
      readonly why?: string;
      /** Of `ready` after a start: from its launch. */
      readonly tookMs?: number;
    };

export interface Step {
  readonly life: Life;
  readonly actions: readonly LifeAction[];
}

const FIRST_PROBE_MS = 50;
/** A request that waits for a start meets a ready server at most about so much late. */
const SLOWEST_PROBE_MS = 150;
const FIRST_RETRY_MS = 500;
const SLOWEST_RETRY_MS = 10_000;

export function advance(life: Life, event: LifeEvent, now: number, rules: LifeRules): Step {
  if ("run" in event && event.run !== life.run) return stay(life);
  switch (life.state) {
    case "absent":
    case "failed":
      return whileDown(life, event, now, rules);
    case "starting":
      return whileStarting(life, event, now, rules);
    case "ready":
    case "unreachable":
      return whileUp(life, event, now, rules);
    case "draining":
      return whileDraining(life, event, now, rules);
  }
}

function whileDown(life: Life, event: LifeEvent, now: number, rules: LifeRules): Step {
  if (event.type === "found") {
    const fresh = { ...UNBORN, state: "starting", run: life.run + 1, probeDelayMs: rules.probeIntervalMs } as const;
    return {
      life: { ...fresh, startBy: startBound(fresh, now, rules) },
      actions: [{ do: "check", run: fresh.run, afterMs: 0 }],
    };
  }
  return event.type === "wanted" && rules.startable ? begin(life) : stay(life);
}

/** One of ours that was found may be in the middle of a blocking call, so its bound is at least as long as such a call. */
function startBound(life: Pick<Life, "attempt">, now: number, rules: LifeRules): number | null {
  if (!rules.startable) return null;
  return now + (life.attempt === 0 ? Math.max(rules.startTimeoutMs, SILENCE_TO_UNREACHABLE_MS) : rules.startTimeoutMs);
}

function begin(life: Life): Step {
  const run = life.run + 1;
  return {
    life: { ...UNBORN, state: "starting", run, attempt: 1 },
    actions: [{ do: "start", run }],
  };
}

function whileStarting(life: Life, event: LifeEvent, now: number, rules: LifeRules): Step {
  switch (event.type) {
    case "launched": {
      const startBy = life.startBy ?? now + rules.startTimeoutMs;
      const launched = { ...life, startBy, launchedAt: now, probeDelayMs: FIRST_PROBE_MS };
      return {
        life: launched,
        actions: [{ do: "check", run: life.run, afterMs: bounded(launched, FIRST_PROBE_MS, now) }],
      };
    }
    case "checked":
      if (event.outcome === "ready") return becomeReady(life, now, rules);
      if (!isLate(life, now) || mayTrain(life, event.outcome, now)) return checkAgain(life, now, rules);
      return giveUp(life, rules);
    case "exited":
      return retry(life, `the model server ${event.cause} before it was ready`, now, rules);
    case "start-failed":
      return event.isFinal ? fail(life, event.problem, []) : retry(life, event.problem, now, rules);
    case "due":
      return isLate(life, now)
        ? giveUp(life, rules)
        : { life: { ...life, isPausing: false }, actions: [{ do: "start", run: life.run }] };
    case "wanted":
      // A found server that turns out to be gone is then started in earnest.
      return life.attempt === 0 ? stay({ ...life, wantedAgain: rules.startable }) : stay(life);
    case "stop-asked":
      // Between two starts there is nothing to end; whoever still wants it begins a start of their own.
      return life.isPausing ? stay({ ...UNBORN, run: life.run }) : startDraining(life);
    default:
      return stay(life);
  }
}

function checkAgain(life: Life, now: number, rules: LifeRules): Step {
  const afterMs = bounded(life, life.probeDelayMs, now);
  const probeDelayMs = rules.startable ? Math.min(life.probeDelayMs * 1.5, SLOWEST_PROBE_MS) : rules.probeIntervalMs;
  return { life: { ...life, probeDelayMs }, actions: [{ do: "check", run: life.run, afterMs }] };
}

/** A pause that does not reach beyond the start's bound. */
function bounded(life: Life, delayMs: number, now: number): number {
  return life.startBy === null ? delayMs : Math.max(0, Math.min(delayMs, life.startBy - now));
}

function isLate(life: Life, now: number): boolean {
  return life.startBy !== null && now >= life.startBy;
}

/** A found one that is silent may be at a training that an earlier sidecar sent: given up, it would be ended with its accepted run. */
function mayTrain(life: Life, outcome: CheckOutcome, now: number): boolean {
  return life.attempt === 0 && outcome === "silent" && now - life.startBy! < LONGEST_SILENCE_MS;
}

function becomeReady(life: Life, now: number, rules: LifeRules): Step {
  const took = life.launchedAt === null ? {} : { tookMs: now - life.launchedAt };
  return {
    life: { ...life, state: "ready", startBy: null, launchedAt: null, health: WELL, problem: null },
    actions: [
      { do: "tell", what: "ready", ...took },
      { do: "check", run: life.run, afterMs: rules.recheckIntervalMs },
    ],
  };
}

/** A start that failed begins again after a growing pause while attempts and time are left. */
function retry(life: Life, problem: string, now: number, rules: LifeRules): Step {
  if (life.attempt === 0) {
    const next = life.wantedAgain ? begin(life) : stay({ ...UNBORN, run: life.run });
    return { life: next.life, actions: [{ do: "tell", what: "exited", why: problem }, ...next.actions] };
  }
  const pauseMs = Math.min(FIRST_RETRY_MS * 2 ** (life.attempt - 1), SLOWEST_RETRY_MS);
  const isLast = life.attempt > rules.retryAttempts || (life.startBy !== null && now + pauseMs >= life.startBy);
  if (isLast) return fail(life, problem, []);
  const run = life.run + 1;
  return {
    life: { ...life, run, attempt: life.attempt + 1, launchedAt: null, isPausing: true, problem: null },
    actions: [
      { do: "tell", what: "retry", why: problem },
      { do: "wake", run, afterMs: pauseMs },
    ],
  };
}

function giveUp(life: Life, rules: LifeRules): Step {
  const seconds = Math.round(rules.startTimeoutMs / 100) / 10;
  return fail(life, `the model server was not ready within ${seconds} s`, [{ do: "stop", run: life.run }]);
}

function fail(life: Life, problem: string, actions: readonly LifeAction[]): Step {
  return {
    life: { ...UNBORN, state: "failed", run: life.run, problem },
    actions: [...actions, { do: "tell", what: "failed", why: problem }],
  };
}

function whileUp(life: Life, event: LifeEvent, now: number, rules: LifeRules): Step {
  switch (event.type) {
    case "checked":
      return life.state === "ready"
        ? recheck(life, event.outcome, now, rules)
        : event.outcome === "ready"
          ? becomeReady(life, now, rules)
          : { life, actions: [{ do: "check", run: life.run, afterMs: rules.probeIntervalMs }] };
    case "exited":
      return { life: { ...UNBORN, run: life.run }, actions: [{ do: "tell", what: "exited", why: event.cause }] };
    case "stop-asked":
      return startDraining(life);
    default:
      return stay(life);
  }
}

function recheck(life: Life, outcome: CheckOutcome, now: number, rules: LifeRules): Step {
  const { health, reachable } = decideReachability(life.health, outcome, now);
  const afterMs = reachable && health.refusals === 0 ? rules.recheckIntervalMs : rules.probeIntervalMs;
  const check: LifeAction = { do: "check", run: life.run, afterMs };
  if (reachable) return { life: { ...life, health }, actions: [check] };
  const problem =
    outcome === "refused"
      ? "the model server's port refuses connections"
      : `the model server has not answered a health check for ${SILENCE_TO_UNREACHABLE_MS / 1000} s`;
  return {
    life: { ...life, state: "unreachable", health: WELL, problem },
    actions: [{ do: "tell", what: "unreachable", why: problem }, check],
  };
}

function startDraining(life: Life): Step {
  const before = life.state as NonNullable<Life["before"]>;
  return {
    life: { ...life, state: "draining", before, startBy: null, wantedAgain: false, problem: null },
    actions: [{ do: "drain" }],
  };
}

function callOff(life: Life, state: NonNullable<Life["before"]>, now: number, rules: LifeRules): Step {
  // One that was not launched yet gets its bound with the launch.
  const hasBound = state === "starting" && (life.attempt === 0 || life.launchedAt !== null);
  const startBy = hasBound ? startBound(life, now, rules) : null;
  const check: LifeAction = { do: "check", run: life.run, afterMs: 0 };
  return {
    life: { ...life, state, before: null, startBy },
    actions: state === "ready" ? [{ do: "tell", what: "ready" }, check] : [check],
  };
}

function whileDraining(life: Life, event: LifeEvent, now: number, rules: LifeRules): Step {
  switch (event.type) {
    case "wanted":
      // What waits for it holds it, so its end would never come and the waiting would never end.
      if (event.held && life.before !== null) return callOff(life, life.before, now, rules);
      return stay({ ...life, wantedAgain: rules.startable });
    case "stop-called-off":
      return life.before === null ? stay(life) : callOff(life, life.before, now, rules);
    case "launched":
      return stay({ ...life, launchedAt: now });
    case "drained":
      if (life.before === null) return stay(life);
      return { life: { ...life, before: null }, actions: [{ do: "stop", run: life.run }] };
    case "exited":
    case "start-failed":
      // It is being ended: only when the driver has cleared it away may the next run begin.
      if (life.before === null) return stay(life);
      return life.wantedAgain ? begin(life) : stay({ ...UNBORN, run: life.run });
    case "stopped":
      return life.wantedAgain ? begin(life) : stay({ ...UNBORN, run: life.run });
    default:
      return stay(life);
  }
}

function stay(life: Life): Step {
  return { life, actions: [] };
}
