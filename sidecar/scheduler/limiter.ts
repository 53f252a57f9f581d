/**
 * Permits: how many calls may run, and in which order waiters are let in.
 *
 * Chained limiters, outermost first: the class's budget (only where it has one), the model's training slot, the model's slots, its rate
 * (only where it has one, or a refusal taught one), the global slots. They live in this process, or in Redis for several sidecars.
 * The limiter counts; the store keeps the order of tasks. A permit says "one more may run", not which.
 */
import { SluiceError } from "../../core/contract/errors.js";
import { type Clock, systemClock } from "../../core/runtime/clock.js";
import { type ClassBudget, type Limiter, type Limiters, type Refill, refillOf } from "./limiter-entry.js";
import { createLocalLimiters } from "./limiter-local.js";
import { type Rate, windowMs } from "./rate.js";
import { createRates, type RateWait, type Turn } from "./rates.js";

/** One granted call. */
export interface Permit {
  /** Gives back everything. Harmless twice. */
  release(): void;
  /** Gives back the call's slots, and keeps a training's slot: the run goes on without holding up inference. */
  releaseCall(): void;
  /** Gives back everything, the class's budget too: nothing was started with it. */
  releaseUnused(): void;
  /** The model server refused the call with 429: its rate is learned from that. */
  refused(retryAfterMs: number | null): void;
}

export interface PermitRequest {
  readonly model: string;
  readonly class: string;
  /** 0 (most urgent) to 9. */
  readonly priority: number;
  /** A training takes the model's one training slot, and a call's slots only until it is accepted. */
  readonly training: boolean;
  /** Calls the model gets at a time. */
  readonly concurrency: number;
  /** Asks the model's and the global limiter at once, for an idle lane: one wait of Bottleneck's instead of two (1.5 ms). */
  readonly eager?: boolean;
}

export interface PermitSettings {
  readonly maxConcurrentTasks: number;
  readonly budgets: ReadonlyMap<string, ClassBudget>;
  /** The rate a model's configuration names; default none. */
  readonly rateOf?: (model: string) => Rate | null;
}

export interface Slots {
  readonly running: number;
  readonly limit: number;
}

/** What stands between a request and its permit now. */
export interface PermitState {
  readonly global: Slots;
  readonly model: Slots;
  readonly training: Slots;
  /** The class's budget; null when it has none. */
  readonly budget: { readonly left: number; readonly refill: Refill } | null;
  readonly rate: RateWait;
}

export interface Permits {
  /**
   * Resolves when the call may start; waits as long as it takes.
   * @throws SHUTTING_DOWN after stop(); the signal's reason when aborted
   */
  request(request: PermitRequest, signal?: AbortSignal): Promise<Permit>;
  /** Takes effect for permits not granted yet; a changed budget from its next refill on. */
  reconfigure(settings: PermitSettings): Promise<void>;
  hasBudget(className: string): boolean;
  /** What the model's rate says, as this sidecar knows it. */
  rateWait(model: string): RateWait;
  /** True while the limiters cannot be asked, so that nothing starts. */
  isAway(): boolean;
  /** Reads alone; takes and changes nothing. */
  state(request: Pick<PermitRequest, "model" | "class" | "concurrency">): Promise<PermitState>;
  stop(): Promise<void>;
}

/** What dispatching takes; the rest tells why a permit is waited for. */
export type GivesPermits = Omit<Permits, "state" | "rateWait" | "isAway">;

export interface PermitParts {
  /** Default: in this process. Stopped with the permits. */
  readonly limiters?: Limiters;
  readonly clock?: Clock;
}

export function createPermits(initial: PermitSettings, parts: PermitParts = {}): Permits {
  const { limiters = createLocalLimiters(), clock = systemClock } = parts;
  let settings = initial;
  const over = new AbortController();
  /** Ends the timers of places in shared windows. */
  const kept = new Set<() => void>();
  const rateOf = (model: string) => settings.rateOf?.(model) ?? null;
  const rates = createRates(clock, rateOf);

  const all = () => limiters.of("global", { maxConcurrent: settings.maxConcurrentTasks });
  const calls = (model: string, maxConcurrent: number) => limiters.of(`calls:${model}`, { maxConcurrent });
  const training = (model: string) => limiters.of(`training:${model}`, { maxConcurrent: 1 });

  function budgetOf(name: string): Limiter | null {
    const budget = settings.budgets.get(name);
    return budget === undefined ? null : limiters.of(`class:${name}`, { budget });
  }

  function keepFor(ms: number, leave: () => void): void {
    const cancel = clock.after(ms, () => {
      kept.delete(cancel);
      leave();
    });
    kept.add(cancel);
  }

  /** The model's slot and its turn; a configured rate is kept together with the other sidecars, where there are any. */
  async function enterModel(request: PermitRequest, signals: AbortSignal[]): Promise<ModelEntrance> {
    const { model, priority } = request;
    const leaveSlot = await calls(model, request.concurrency).enter(priority);
    // Trainings have no rate at CMS, and none here.
    if (request.training) return { leave: leaveSlot, start() {}, cancel() {}, refused() {} };
    let leaveRate = () => {};
    try {
      const rate = limiters.isShared ? rateOf(model) : null;
      if (rate !== null) leaveRate = await limiters.of(`rate:${model}`, { maxConcurrent: rate.amount }).enter(priority);
      const turn = await rates.turn(model, signals);
      const start = () => {
        turn.start();
        // A shared place in the window is kept for as long as the call counts.
        if (rate !== null) keepFor(windowMs(rate.perMs), leaveRate);
      };
      const cancel = () => {
        turn.cancel();
        leaveRate();
      };
      return { leave: leaveSlot, start, cancel, refused: turn.refused };
    } catch (error) {
      leaveRate();
      leaveSlot();
      throw error;
    }
  }

  return {
    async request(request, signal) {
      if (over.signal.aborted) throw new SluiceError("SHUTTING_DOWN", "Sluice is stopping");
      const { priority } = request;
      const signals = signal === undefined ? [over.signal] : [signal, over.signal];
      const budget = budgetOf(request.class);
      const held: (() => void)[] = [];
      let entrance: ModelEntrance | null = null;
      const giveBack = (from = 0) => {
        for (const leave of held.splice(from).reverse()) leave();
      };
      const giveBackUnused = () => {
        if (held.length === 0) return;
        budget?.refund();
        entrance?.cancel();
        giveBack();
      };
      try {
        if (budget !== null) held.push(await budget.enter(priority));
        if (request.training) held.push(await training(request.model).enter(priority));
        const beforeCall = held.length;
        const model = enterModel(request, signals);
        const early = request.eager === true ? enterEarly(all(), priority, model) : null;
        // Heard below; a rejection must not count as unheard before the model's turn has come.
        early?.catch(() => undefined);
        entrance = await model;
        held.push(entrance.leave);
        held.push((await early) ?? (await all().enter(priority)));
        for (const each of signals) each.throwIfAborted();
        entrance.start();
        return {
          release: () => giveBack(),
          releaseCall: () => giveBack(beforeCall),
          releaseUnused: giveBackUnused,
          refused: entrance.refused,
        };
      } catch (error) {
        giveBackUnused();
        throw error;
      }
    },
    async reconfigure(next) {
      settings = next;
      all();
      for (const name of next.budgets.keys()) budgetOf(name);
    },
    hasBudget: (className) => settings.budgets.has(className),
    rateWait: (model) => rates.wait(model),
    isAway: () => limiters.isAway?.() ?? false,
    async state({ model, class: className, concurrency }) {
      const budget = settings.budgets.get(className);
      const left = (await budgetOf(className)?.fill())?.left ?? 0;
      const [global, slots, trainings] = await Promise.all(
        [all(), calls(model, concurrency), training(model)].map((each) => each.fill()),
      );
      return {
        global: { running: global!.running, limit: settings.maxConcurrentTasks },
        model: { running: slots!.running, limit: concurrency },
        training: { running: trainings!.running, limit: 1 },
        budget: budget === undefined ? null : { left, refill: refillOf(budget) },
        rate: rates.wait(model),
      };
    },
    async stop() {
      if (over.signal.aborted) return;
      over.abort(new SluiceError("SHUTTING_DOWN", "Sluice is stopping"));
      for (const cancel of kept) cancel();
      kept.clear();
      await limiters.stop();
    },
  };
}

/** A model's slot, and the call's turn in its window. */
interface ModelEntrance extends Turn {
  leave(): void;
}

/**
 * Enters while another limiter is still being entered. Who gets in here before there leaves again at once (null): a global slot is
 * never kept by someone who waits for a model.
 */
async function enterEarly(limiter: Limiter, priority: number, other: Promise<unknown>): Promise<(() => void) | null> {
  let isOtherIn = false;
  other.then(
    () => {
      isOtherIn = true;
    },
    () => undefined,
  );
  const leave = await limiter.enter(priority);
  if (isOtherIn) return leave;
  leave();
  return null;
}
