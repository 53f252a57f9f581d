/**
 * The life of a heavy task after it is durable: wait for a permit, be claimed, run, end.
 *
 * Permit, then claim: a lane (model, class) asks for as many permits as it could use; when one is granted the best due task is claimed
 * from the store at that moment. Nothing is prefetched, so a late urgent task really goes first. Decisions are in `decide.ts`;
 * models that are not there yet are in `awaited-models.ts`, one attempt is in `attempt.ts`.
 */
import { setMaxListeners } from "node:events";
import { asSluiceError, SluiceError } from "../../core/contract/errors.js";
import type { RouteTable } from "../../core/contract/routes.js";
import type { Clock } from "../../core/runtime/clock.js";
import type { Logger } from "../../core/runtime/logger.js";
import type { ModelCatalogue } from "../models/catalogue.js";
import type { Claim, LaneBacklog, TaskStore } from "../tasks/store.js";
import type { Attempts } from "./attempt.js";
import { createAwaitedModels } from "./awaited-models.js";
import {
  isStartDue,
  isTraining,
  LOWEST_PRIORITY,
  planPermits,
  type RankedLine,
  rankLines,
  type StartQuestion,
  trainingClasses,
} from "./decide.js";
import type { GivesPermits, Permit } from "./limiter.js";
import { failedOutcome } from "./outcome.js";
import type { AttemptObserver } from "./settle.js";

export interface DispatcherOptions {
  readonly store: TaskStore;
  readonly catalogue: ModelCatalogue;
  readonly permits: GivesPermits;
  readonly attempts: Attempts;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly observer: Pick<AttemptObserver, "completed">;
  /** Read at every step. */
  readonly settings: () => SchedulerSettings;
  /** The most urgent priority among gated requests that wait for a permit, Infinity when none does. */
  readonly gateUrgency: () => number;
  /** Bound on one start of a model; also how long tasks of a vanished model wait for it to come back. */
  readonly startTimeoutMs: () => number;
}

/** As configured under `scheduler`. */
export interface SchedulerSettings {
  readonly routes: RouteTable;
  readonly ageing: number;
  readonly max_concurrent_tasks: number;
}

export interface Dispatcher {
  /** Takes up what a crash left behind, then dispatches. */
  start(): Promise<void>;
  /** Something changed that could let a task start. Cheap; calls are coalesced. */
  wake(): void;
  /**
   * A task is on its way to the disk: asks for its permit meanwhile, so that the two waits overlap (2 ms of 7 when idle).
   * @param arriving settles when it is there, or refused; {@link Dispatcher.wake} is still to be called then
   */
  anticipate(model: string, className: string, priority: number, arriving: Promise<unknown>): void;
  /** The most urgent priority among tasks that may start, when it was last looked; Infinity when none may. */
  urgency(): number;
  /** Stops dispatching, waits for what runs until the deadline, then lets go: it is taken up again at the next start. */
  stop(deadlineMs: number): Promise<void>;
}

/** Looked at anew at least this often, should a wake-up ever be missed. */
const SAFETY_WAKE_MS = 5_000;
/** After a fault of the store, before it is asked again. */
const STORE_PAUSE_MS = 1_000;

interface Lane {
  readonly model: string;
  readonly class: string;
  /** Permit requests waiting in the limiter, by rank. */
  readonly outstanding: number[];
}

export function createDispatcher(options: DispatcherOptions): Dispatcher {
  const { store, catalogue, permits, attempts, clock, logger, observer } = options;
  const lanes = new Map<string, Lane>();
  /** One lease per model that has waiting tasks (promise 4). */
  const waitingLeases = new Map<string, () => void>();
  const running = new Set<Promise<void>>();
  const abort = new AbortController();
  // Everything that runs listens.
  setMaxListeners(0, abort.signal);
  let urgency = Number.POSITIVE_INFINITY;
  /** Attempts under way that hold a call's slot. */
  let calling = 0;
  let scheduled = false;
  let stopped = false;
  /** While claims fail (a full disk), by {@link Clock.elapsed}. */
  let pausedUntilMs = Number.NEGATIVE_INFINITY;
  let cancelTimer = () => {};
  let unsubscribe = () => {};
  const awaited = createAwaitedModels({
    ...options,
    isStopped: () => stopped,
    signal: abort.signal,
    track,
    wake,
  });

  function wake(): void {
    if (scheduled || stopped) return;
    scheduled = true;
    clock.soon(() => {
      scheduled = false;
      if (!stopped) void plan();
    });
  }

  async function plan(): Promise<void> {
    cancelTimer();
    const nowMs = clock.now();
    let nextMs = nowMs + SAFETY_WAKE_MS;
    try {
      const expired = await expireOverdue(nowMs);
      if (expired > 0)
        logger.info({ event: "tasks_expired", count: expired }, "tasks passed their deadline while they waited");
      const pauseMs = pausedUntilMs - clock.elapsed();
      const dueMs = pauseMs > 0 ? nowMs + pauseMs : planModels(store.backlog(nowMs), nowMs);
      nextMs = Math.min(nextMs, dueMs, store.nextDeadlineMs() ?? nextMs);
    } catch (cause) {
      logger.error({ err: cause, code: asSluiceError(cause).code }, "the task store cannot be read; trying again");
      nextMs = nowMs + STORE_PAUSE_MS;
    }
    cancelTimer();
    // The clock may have been set back since: never longer than the safety wake-up.
    const pauseMs = Math.min(Math.max(1, nextMs - clock.now()), SAFETY_WAKE_MS);
    if (!stopped) cancelTimer = clock.after(pauseMs, wake);
  }

  async function expireOverdue(nowMs: number): Promise<number> {
    const next = store.nextDeadlineMs();
    if (next === null || next > nowMs) return 0;
    const expired = await store.expire(nowMs);
    const outcome = failedOutcome("expired", "its deadline passed while it waited", null, nowMs);
    for (const uuid of expired) {
      const task = store.get(uuid);
      if (task !== null) observer.completed(task, outcome);
    }
    return expired.length;
  }

  /** @returns the epoch time at which something changes by itself: a task becomes due, a line gains a rank */
  function planModels(backlog: readonly LaneBacklog[], nowMs: number): number {
    const { ageing } = options.settings();
    // Every lane that waits is known from now on: a permit asked for ahead of the next plan must see the others' urgent tasks.
    for (const each of backlog) laneOf(each.model, each.class);
    const ranked = rankLines(backlog, { nowMs, ageingMs: ageing, gateUrgency: options.gateUrgency() });
    const { lines, nextLiftMs } = ranked;
    urgency = ranked.urgency;
    const loadedRank = bestRank(lines.filter((each) => catalogue.get(each.model)?.state === "ready"));
    for (const [model, ofModel] of groupBy(lines, (each) => each.model))
      planModel(model, ofModel, { nowMs, loadedRank });
    keepLeases(new Set(backlog.map((each) => each.model)));
    return Math.min(nextLiftMs, ...backlog.map((each) => each.nextDueMs ?? Number.POSITIVE_INFINITY));
  }

  /** A model that something waits for stays. */
  function keepLeases(waitedFor: ReadonlySet<string>): void {
    for (const model of waitedFor) {
      if (!waitingLeases.has(model)) waitingLeases.set(model, catalogue.lease(model, "waiting tasks"));
    }
    for (const [model, release] of waitingLeases) {
      if (waitedFor.has(model)) continue;
      release();
      waitingLeases.delete(model);
      awaited.forget(model);
    }
  }

  function planModel(
    model: string,
    lines: readonly RankedLine[],
    { nowMs, loadedRank }: { nowMs: number; loadedRank: number | null },
  ): void {
    if (!awaited.look(model, () => isStartDue(startQuestion(lines, nowMs, loadedRank)))) return;
    const concurrency = catalogue.get(model)?.concurrency ?? 1;
    for (const [className, ofClass] of groupBy(lines, (each) => each.class)) {
      ask(laneOf(model, className), ofClass, concurrency);
    }
  }

  function startQuestion(lines: readonly RankedLine[], nowMs: number, loadedRank: number | null): StartQuestion {
    const { ageing, max_concurrent_tasks } = options.settings();
    const oldestMs = Math.min(...lines.map((each) => each.oldestMs ?? nowMs));
    const hasFreeSlot = calling < max_concurrent_tasks;
    return { rank: bestRank(lines)!, waitedMs: nowMs - oldestMs, ageingMs: ageing, loadedRank, hasFreeSlot };
  }

  function laneOf(model: string, className: string): Lane {
    const key = `${className}\u0000${model}`;
    const known = lanes.get(key);
    if (known !== undefined) return known;
    const lane: Lane = { model, class: className, outstanding: new Array<number>(LOWEST_PRIORITY + 1).fill(0) };
    lanes.set(key, lane);
    return lane;
  }

  function ask(lane: Lane, lines: readonly RankedLine[], concurrency: number): void {
    for (const { rank, count } of planPermits(lines, lane.outstanding, concurrency)) {
      for (let each = 0; each < count; each++) askOne(lane, rank, concurrency, null);
    }
  }

  /** @param arriving settles when a task that is on its way to the disk is there, or refused */
  function askOne(lane: Lane, rank: number, concurrency: number, arriving: Promise<unknown> | null): void {
    const training = trainingClasses(options.settings().routes).has(lane.class);
    lane.outstanding[rank]! += 1;
    // A task may name its model by address: the permits are the server's.
    const model = catalogue.get(lane.model)?.name ?? lane.model;
    permits
      .request(
        { model, class: lane.class, priority: rank, training, concurrency, eager: arriving !== null },
        abort.signal,
      )
      .finally(() => {
        lane.outstanding[rank]! -= 1;
      })
      .then(
        (permit) => track(useTo(lane, training, permit, arriving)),
        (cause) => {
          if (!stopped) logger.error({ err: cause, model: lane.model }, "a permit could not be had");
        },
      );
  }

  function anticipate(model: string, className: string, priority: number, arriving: Promise<unknown>): void {
    const entry = catalogue.get(model);
    if (stopped || clock.elapsed() < pausedUntilMs) return;
    if (entry?.state !== "ready" || permits.hasBudget(className)) return;
    const lane = laneOf(model, className);
    if (lane.outstanding.some((count) => count > 0)) return;
    askOne(lane, priority, entry.concurrency, arriving);
  }

  async function useTo(
    lane: Lane,
    training: boolean,
    permit: Permit,
    arriving: Promise<unknown> | null,
  ): Promise<void> {
    try {
      let claim = await claimFor(lane, training);
      if (claim === null && arriving !== null) {
        await arriving.catch(() => undefined);
        claim = await claimFor(lane, training);
      }
      if (claim === null) return permit.releaseUnused();
      wake();
      // A training holds no call's slot once it was accepted.
      if (!training) calling += 1;
      try {
        await attempts.run(claim, permit, abort.signal);
      } finally {
        if (!training) calling -= 1;
      }
    } finally {
      permit.release();
      wake();
    }
  }

  async function claimFor(lane: Lane, training: boolean): Promise<Claim | null> {
    if (stopped) return null;
    try {
      return await store.claim(lane.model, claimable(lane, training), clock.now());
    } catch (cause) {
      // It fails for all alike: asked again at once, it would do nothing but fail as fast as it can.
      pausedUntilMs = clock.elapsed() + STORE_PAUSE_MS;
      throw cause;
    }
  }

  /**
   * The classes a permit of this lane may serve: its own, and others of its model whose permits cost the same, so that the best task
   * goes first even when the permit was asked for by another lane.
   */
  function claimable(lane: Lane, training: boolean): string[] {
    if (permits.hasBudget(lane.class)) return [lane.class];
    const trainings = trainingClasses(options.settings().routes);
    const classes = [...lanes.values()]
      .filter(
        (each) => each.model === lane.model && !permits.hasBudget(each.class) && trainings.has(each.class) === training,
      )
      .map((each) => each.class);
    return [...new Set([lane.class, ...classes])];
  }

  /** Keeps a piece of work in view, so that stop() can wait for it and no rejection goes unheard. */
  function track(work: Promise<void>): void {
    const watched = work
      .catch((cause) => {
        if (!abort.signal.aborted) logger.error({ err: cause, code: asSluiceError(cause).code }, "dispatching failed");
      })
      .finally(() => running.delete(watched));
    running.add(watched);
  }

  function recover(left: Claim): void {
    track(resumeHoldingSlot(left).finally(wake));
  }

  /** A training that is followed again holds its model's training slot again, as soon as it can be had. */
  async function resumeHoldingSlot(left: Claim): Promise<void> {
    if (!isTraining(left.task.task)) return attempts.resume(left, abort.signal);
    const { model, class: className, priority } = left.task;
    const over = new AbortController();
    const slot = permits.request({ model, class: className, priority, training: true, concurrency: 1 }, over.signal);
    slot.then((permit) => permit.releaseCall()).catch(() => undefined);
    try {
      await attempts.resume(left, abort.signal);
    } finally {
      over.abort();
      slot.then((permit) => permit.release()).catch(() => undefined);
    }
  }

  return {
    async start() {
      const left = store.unfinished();
      if (left.length > 0)
        logger.info({ event: "recovering", count: left.length }, "taking up tasks that were under way");
      for (const claim of left) recover(claim);
      unsubscribe = catalogue.onChange(wake);
      wake();
    },
    wake,
    anticipate,
    urgency: () => urgency,
    async stop(deadlineMs) {
      stopped = true;
      cancelTimer();
      unsubscribe();
      const drained = Promise.allSettled(running);
      const cancel = clock.after(deadlineMs - clock.now(), () =>
        abort.abort(new SluiceError("SHUTTING_DOWN", "Sluice is stopping")),
      );
      attempts.releaseFollowers();
      await drained;
      cancel();
      abort.abort(new SluiceError("SHUTTING_DOWN", "Sluice is stopping"));
      await permits.stop();
      for (const release of waitingLeases.values()) release();
      waitingLeases.clear();
    },
  };
}

function bestRank(lines: readonly RankedLine[]): number | null {
  return lines.length === 0 ? null : Math.min(...lines.map((each) => each.rank));
}

function groupBy<Item>(items: readonly Item[], keyOf: (item: Item) => string): Map<string, Item[]> {
  const groups = new Map<string, Item[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return groups;
}
