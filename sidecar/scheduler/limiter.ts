/**
 * Permits: how many calls may run, and in which order waiters are let in. The only importer of bottleneck.
 *
 * Chained limiters, outermost first: the class's budget (only where it has one), the model's slots, the global slots.
 * The limiter counts; the store keeps the order of tasks. A permit says "one more may run", not which.
 */
import Bottleneck from "bottleneck";
import { SluiceError } from "../../core/contract/errors.js";

/** One granted call. */
export interface Permit {
  /** Gives back everything. Harmless twice. */
  release(): void;
  /** Gives back the call's slots, and keeps a training's slot: the run goes on without holding up inference. */
  releaseCall(): void;
  /** Gives back everything, the class's budget too: nothing was started with it. */
  releaseUnused(): void;
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

export interface ClassBudget {
  readonly amount: number;
  readonly refreshMs: number;
}

export interface PermitSettings {
  readonly maxConcurrentTasks: number;
  readonly budgets: ReadonlyMap<string, ClassBudget>;
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
  /** A class's budget, or a model's rate limit. */
  readonly budgets: readonly { readonly of: "class" | "model"; readonly left: number; readonly budget: ClassBudget }[];
}

export interface Permits {
  /**
   * Resolves when the call may start; waits as long as it takes.
   * @throws SHUTTING_DOWN after stop(); the signal's reason when aborted
   */
  request(request: PermitRequest, signal?: AbortSignal): Promise<Permit>;
  /** Takes effect for permits not granted yet. */
  reconfigure(settings: PermitSettings): Promise<void>;
  hasBudget(className: string): boolean;
  /** Reads alone; takes and changes nothing. */
  state(request: Pick<PermitRequest, "model" | "class" | "concurrency">): Promise<PermitState>;
  stop(): Promise<void>;
}

/** Bottleneck refreshes a reservoir in steps of this. */
const REFRESH_STEP_MS = 250;

export function createPermits(initial: PermitSettings): Permits {
  let settings = initial;
  let stopped = false;
  const limiters = new Map<string, Bottleneck>();
  const all = limiter("global", { maxConcurrent: settings.maxConcurrentTasks });

  function limiter(id: string, options: Bottleneck.ConstructorOptions): Bottleneck {
    const made = quicken(new Bottleneck(options));
    limiters.set(id, made);
    return made;
  }

  /** The model's own limiter; a changed concurrency takes effect at once. */
  function ofModel(kind: "calls" | "training", model: string, maxConcurrent: number): Bottleneck {
    const id = `${kind}:${model}`;
    const known = limiters.get(id);
    if (known === undefined) return limiter(id, { maxConcurrent });
    known.updateSettings({ maxConcurrent });
    return known;
  }

  function ofClass(name: string): Bottleneck | null {
    const budget = settings.budgets.get(name);
    if (budget === undefined) return null;
    return limiters.get(`class:${name}`) ?? limiter(`class:${name}`, reservoir(budget));
  }

  return {
    async request(request, signal) {
      if (stopped) throw new SluiceError("SHUTTING_DOWN", "Sluice is stopping");
      const { priority } = request;
      const budget = ofClass(request.class);
      const held: (() => void)[] = [];
      const giveBack = (from = 0) => {
        for (const leave of held.splice(from).reverse()) leave();
      };
      const giveBackUnused = () => {
        if (held.length > 0) void budget?.incrementReservoir(1);
        giveBack();
      };
      try {
        if (budget !== null) held.push(await enter(budget, priority));
        if (request.training) held.push(await enter(ofModel("training", request.model, 1), priority));
        const beforeCall = held.length;
        const model = enter(ofModel("calls", request.model, request.concurrency), priority);
        const early = request.eager === true ? enterEarly(all, priority, model) : null;
        // Heard below; a rejection must not count as unheard before the model's turn has come.
        early?.catch(() => undefined);
        held.push(await model);
        held.push((await early) ?? (await enter(all, priority)));
        signal?.throwIfAborted();
        return { release: () => giveBack(), releaseCall: () => giveBack(beforeCall), releaseUnused: giveBackUnused };
      } catch (error) {
        giveBackUnused();
        throw error;
      }
    },
    async reconfigure(next) {
      settings = next;
      await all.updateSettings({ maxConcurrent: next.maxConcurrentTasks });
      for (const [name, budget] of next.budgets) await limiters.get(`class:${name}`)?.updateSettings(reservoir(budget));
    },
    hasBudget: (className) => settings.budgets.has(className),
    async state({ model, class: className, concurrency }) {
      const running = async (id: string) => (await limiters.get(id)?.running()) ?? 0;
      const budget = settings.budgets.get(className);
      const left = await limiters.get(`class:${className}`)?.currentReservoir();
      return {
        global: { running: await running("global"), limit: settings.maxConcurrentTasks },
        model: { running: await running(`calls:${model}`), limit: concurrency },
        training: { running: await running(`training:${model}`), limit: 1 },
        budgets: budget === undefined ? [] : [{ of: "class", left: left ?? budget.amount, budget }],
      };
    },
    async stop() {
      stopped = true;
      const stopping = [...limiters.values()].map((each) =>
        each.stop({ dropWaitingJobs: true, dropErrorMessage: STOPPED }),
      );
      // Running jobs end when their permits are released; nobody waits for that here.
      void Promise.allSettled(stopping);
    },
  };
}

const STOPPED = "permits are stopped";

function reservoir(budget: ClassBudget): Bottleneck.ConstructorOptions {
  const interval = Math.max(REFRESH_STEP_MS, Math.ceil(budget.refreshMs / REFRESH_STEP_MS) * REFRESH_STEP_MS);
  return {
    reservoir: budget.amount,
    reservoirRefreshAmount: budget.amount,
    reservoirRefreshInterval: interval,
  };
}

/** Enters a limiter: resolves, when it lets one more in, with the function that leaves it again. */
function enter(limiter: Bottleneck, priority: number): Promise<() => void> {
  return new Promise((resolve, reject) => {
    limiter
      .schedule({ priority }, () => new Promise<void>((leave) => resolve(leave)))
      .catch((cause: Error) => {
        reject(cause.message === STOPPED ? new SluiceError("SHUTTING_DOWN", "Sluice is stopping", { cause }) : cause);
      });
  });
}

/**
 * Enters while another limiter is still being entered. Who gets in here before there leaves again at once (null): a global slot is
 * never kept by someone who waits for a model.
 */
async function enterEarly(
  limiter: Bottleneck,
  priority: number,
  other: Promise<unknown>,
): Promise<(() => void) | null> {
  let isOtherIn = false;
  other.then(
    () => {
      isOtherIn = true;
    },
    () => undefined,
  );
  const leave = await enter(limiter, priority);
  if (isOtherIn) return leave;
  leave();
  return null;
}

/**
 * Bottleneck's in-process store yields through `setTimeout(0)`, five times a start: about 3 ms a limiter, 450 starts/s. Yielding through
 * `setImmediate` keeps its order of events and brings 1 ms and 850 starts/s (measured, 2.19.5). Where a later version has no such
 * member, nothing happens but the slower pace.
 */
function quicken(limiter: Bottleneck): Bottleneck {
  const store = (limiter as unknown as { _store?: { yieldLoop?: unknown } })._store;
  if (typeof store?.yieldLoop === "function") store.yieldLoop = () => new Promise((resolve) => setImmediate(resolve));
  return limiter;
}
