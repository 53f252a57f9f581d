/**
 * Limiters shared through Redis: several sidecars, one budget. Bottleneck counts; what it lacks is added here.
 *
 * - A permit is a lease: every {@link ROUND_MS} its holder renews it, and puts it back when Redis has forgotten it (FLUSHALL, a new Redis,
 *   or this process stood still too long). So a dead sidecar's permits are free again after {@link LEASE_MS}.
 * - While Redis is away, what can be asked twice waits and is asked again; a start that was cut off stays in the queue.
 * - The more urgent go first across sidecars.
 */
import { setMaxListeners } from "node:events";
import { isDeepStrictEqual } from "node:util";
import Bottleneck from "bottleneck";
import { SluiceError } from "../../core/contract/errors.js";
import type { Clock } from "../../core/runtime/clock.js";
import type { Logger } from "../../core/runtime/logger.js";
import { CallbackRedis, REDIS_AWAY } from "../../core/runtime/redis.js";
import {
  enter,
  type Fill,
  fillOf,
  type Inside,
  type Limiter,
  type Limiters,
  type Limits,
  STOPPED,
  settingsOf,
} from "./limiter-entry.js";
import { KEEP_MS, keysOf, LEASE_MS, prepareScript, ROUND } from "./limiter-scripts.js";

export interface RedisLimitersOptions {
  readonly url: string;
  /** Before every id: installations with another one do not meet. */
  readonly prefix: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface RedisLimiters extends Limiters {
  /** Resolves when Redis does its work, rejects when it does not. */
  probe(): Promise<void>;
}

const ROUND_MS = 1_000;
/** Rounds after a limiter fell idle, for what a broken connection may have left behind. */
const IDLE_ROUNDS = 3;
/** Between tries while Redis is away. */
const RETRY_MS = 100;
/** Between tries while it is there and refuses: out of memory, still loading, no permission. */
const REFUSED_MS = 500;
/** For giving back what is held, when we stop. */
const LEAVE_MS = 1_000;
/** A budget is looked at this often; everything else is pushed. */
const BUDGET_MS = 250;
const LOWEST_PRIORITY = 9;

/** Scripts that may run twice: they wait for Redis and are asked again. All others fail at once. */
const PATIENT: ReadonlySet<string> = new Set(["init", "register_client", "submit", "free", "update_settings"]);
/** Bottleneck's own words; it knows what to do. */
const ITS_WORDS = /^(UNKNOWN_CLIENT|SETTINGS_KEY_NOT_FOUND|OVERWEIGHT)/;

type Reply = (error: Error | null, reply?: unknown) => void;

interface Store {
  readonly clientId: string;
  runScript(name: string, args: readonly string[]): Promise<unknown>;
  __register__(index: string, weight: number): Promise<{ success: boolean; wait: number; reservoir: number }>;
  __submit__(queued: number, weight: number): Promise<{ reachedHWM: boolean; blocked: boolean; strategy: number }>;
}

interface Connection {
  __scriptFn__(name: string): (...given: unknown[]) => void;
  disconnect(flush: boolean): Promise<void>;
}

export function createRedisLimiters({ url, prefix, clock, logger }: RedisLimitersOptions): RedisLimiters {
  const over = new AbortController();
  // Everyone who waits listens.
  setMaxListeners(0, over.signal);
  const known = new Map<string, SharedLimiter>();
  const client = new CallbackRedis({
    url,
    prepare: prepareScript,
    onUp: () => {
      logger.info({ event: "redis_up" }, "Redis is there: limits are shared");
      for (const each of known.values()) void each.round();
    },
    onDown: (cause) =>
      logger.warn({ event: "redis_down", err: cause }, "Redis is away: what runs goes on, what waits waits for it"),
  });
  const roundHash = client.keep(ROUND);
  const probeHash = client.keep("return redis.call('set', KEYS[1], 1, 'px', 60000)");
  const connection = new Bottleneck.RedisConnection({ client });
  (connection as unknown as Connection).__scriptFn__ =
    (name) =>
    (...given) => {
      const reply = given.pop() as Reply;
      const ask = () => evaluate(client, given);
      (PATIENT.has(name) ? untilAnswered(ask) : ask()).then((answer) => reply(null, answer), reply);
    };

  let isRefused = false;
  async function untilAnswered(ask: () => Promise<unknown>): Promise<unknown> {
    for (;;) {
      try {
        const answer = await ask();
        isRefused = false;
        return answer;
      } catch (cause) {
        if (over.signal.aborted || ITS_WORDS.test((cause as Error).message)) throw cause;
        if (client.ready && !isRefused) {
          isRefused = true;
          logger.warn({ event: "redis_refuses", err: cause }, "Redis is there but does not do its work; trying again");
        }
        await clock.sleep(client.ready ? REFUSED_MS : RETRY_MS, over.signal);
      }
    }
  }

  let cancelRound = clock.after(ROUND_MS, rounds);
  function rounds(): void {
    for (const each of known.values()) void each.round();
    cancelRound = clock.after(ROUND_MS, rounds);
  }

  return {
    isShared: true,
    isAway: () => !client.ready,
    of(id, limits) {
      let limiter = known.get(id);
      if (limiter === undefined) {
        const askRound: AskRound = (keys, args) => evaluate(client, [roundHash, keys.length, ...keys, ...args]);
        limiter = new SharedLimiter({ id: `${prefix}:${id}`, connection, limits, askRound, over: over.signal });
        known.set(id, limiter);
      } else limiter.change(limits);
      return limiter;
    },
    async probe() {
      if (!client.ready) throw new Error(REDIS_AWAY);
      await evaluate(client, [probeHash, 1, `b_${prefix}:probe`]);
    },
    async stop() {
      cancelRound();
      const leaving = Promise.allSettled([...known.values()].map((each) => each.leave()));
      await Promise.race([leaving, client.ready ? clock.sleep(LEAVE_MS) : undefined]);
      over.abort(new Error(STOPPED));
      await (connection as unknown as Connection).disconnect(true);
    },
  };
}

function evaluate(client: CallbackRedis, given: readonly unknown[]): Promise<unknown> {
  return new Promise((resolve, reject) => {
    client.evalsha(...given, (error, reply) => (error === null ? resolve(reply) : reject(error)));
  });
}

/** Who waits for a Redis that never comes must not outlast us. */
function untilOver(entering: Promise<() => void>, over: AbortSignal): Promise<() => void> {
  return new Promise((resolve, reject) => {
    const stop = () => reject(new SluiceError("SHUTTING_DOWN", "Sluice is stopping"));
    if (over.aborted) stop();
    over.addEventListener("abort", stop, { once: true });
    entering.then(resolve, reject).finally(() => over.removeEventListener("abort", stop));
  });
}

type AskRound = (keys: readonly string[], args: readonly string[]) => Promise<unknown>;

interface SharedLimiterOptions {
  readonly id: string;
  readonly connection: Bottleneck.RedisConnection;
  readonly limits: Limits;
  readonly askRound: AskRound;
  /** Aborted when we stop. */
  readonly over: AbortSignal;
}

class SharedLimiter implements Limiter {
  readonly #keys: readonly string[];
  readonly #bottleneck: Bottleneck;
  readonly #store: Store;
  readonly #askRound: AskRound;
  readonly #over: AbortSignal;
  #limits: Limits;
  #applied: Promise<unknown> = Promise.resolve();
  /** Priorities of those who are about to be submitted, in order. */
  readonly #coming: number[] = [];
  /** Jobs that Redis believes to be ours; given up when the next round does not find them here either. */
  #strangers: readonly string[] = [];
  #round: Promise<void> | null = null;
  #idleRounds = 0;

  constructor({ id, connection, limits, askRound, over }: SharedLimiterOptions) {
    this.#keys = keysOf(id);
    this.#limits = limits;
    this.#askRound = askRound;
    this.#over = over;
    this.#bottleneck = new Bottleneck({
      id,
      connection,
      timeout: KEEP_MS,
      ...settingsOf(limits),
      reservoir: limits.budget?.amount ?? null,
      ...(limits.budget === undefined ? {} : { heartbeatInterval: BUDGET_MS }),
    } as Bottleneck.ConstructorOptions);
    this.#store = this.#inside._store as Store;
    this.#addToScripts();
    this.#bottleneck.ready().catch(() => undefined);
    // Another sidecar may have made it with other limits: the last to start wins.
    this.#applyLimits();
  }

  get #inside(): Inside {
    return this.#bottleneck as unknown as Inside;
  }

  async enter(priority: number): Promise<() => void> {
    this.#coming.push(priority);
    this.#idleRounds = 0;
    return untilOver(enter(this.#bottleneck, priority), this.#over);
  }

  refund(): void {
    this.#bottleneck.incrementReservoir(1).catch(() => undefined);
  }

  fill(): Promise<Fill> {
    return fillOf(this.#bottleneck);
  }

  change(limits: Limits): void {
    if (isDeepStrictEqual(limits, this.#limits)) return;
    this.#limits = limits;
    this.#applyLimits();
  }

  /** Never rejects; one at a time. */
  round(): Promise<void> {
    this.#round ??= this.#goRound().finally(() => {
      this.#round = null;
    });
    return this.#round;
  }

  /** Refuses who waits, and gives back what is held. */
  async leave(): Promise<void> {
    const options = { dropWaitingJobs: true, dropErrorMessage: STOPPED, enqueueErrorMessage: STOPPED };
    this.#bottleneck.stop(options).catch(() => undefined);
    await this.#round;
    await this.#ask([], Object.keys(this.#inside._scheduled));
    await this.#bottleneck.running();
  }

  /** One change after the other, so that the last one stays; each waits for Redis, and ends with us at the latest. */
  #applyLimits(): void {
    const apply = () => this.#bottleneck.updateSettings(settingsOf(this.#limits));
    this.#applied = this.#applied.then(apply).catch(() => undefined);
  }

  /** A job is registered as a lease, and tells how urgent it is. */
  #addToScripts(): void {
    const store = this.#store;
    store.__register__ = async (index, weight) => {
      const own = this.#mostUrgent() ?? LOWEST_PRIORITY;
      const args = [index, weight, LEASE_MS, own, this.#mostUrgent(own) ?? ""];
      const [success, wait, reservoir] = (await store.runScript("register", args.map(String))) as [
        unknown,
        number,
        number,
      ];
      return { success: success !== null, wait, reservoir };
    };
    store.__submit__ = async (queued, weight) => {
      const priority = Math.min(this.#coming.shift() ?? LOWEST_PRIORITY, this.#mostUrgent() ?? LOWEST_PRIORITY);
      const reply = await store.runScript("submit", [queued, weight, priority].map(String));
      const [reachedHWM, blocked, strategy] = reply as [unknown, unknown, number];
      return { reachedHWM: reachedHWM !== null, blocked: blocked !== null, strategy };
    };
  }

  /** @param besides the priority of one waiter who does not count */
  #mostUrgent(besides: number | null = null): number | null {
    for (let priority = 0; priority <= LOWEST_PRIORITY; priority++) {
      if (this.#bottleneck.queued(priority) > (priority === besides ? 1 : 0)) return priority;
    }
    return null;
  }

  async #goRound(): Promise<void> {
    const held = Object.keys(this.#inside._scheduled);
    const isIdle = held.length === 0 && this.#bottleneck.queued() === 0;
    this.#idleRounds = isIdle ? this.#idleRounds + 1 : 0;
    if (this.#idleRounds > IDLE_ROUNDS) return;
    try {
      const gone = this.#strangers.filter((each) => !Object.hasOwn(this.#inside._scheduled, each));
      let reply = await this.#ask(held, gone);
      if (reply === 0) {
        // Redis has forgotten the limiter: any of Bottleneck's own scripts makes it anew.
        await this.#bottleneck.running();
        reply = await this.#ask(Object.keys(this.#inside._scheduled), []);
      }
      this.#strangers = Array.isArray(reply) ? reply : [];
      if (gone.length > 0) await this.#bottleneck.running();
      if (this.#bottleneck.queued() > 0) await this.#inside._drainAll();
    } catch {
      // Redis is away; the next round finds out what has become of it.
    }
  }

  #ask(held: readonly string[], gone: readonly string[]): Promise<unknown> {
    const waiting = this.#bottleneck.queued();
    const urgency = this.#mostUrgent() ?? "";
    return this.#askRound(this.#keys, [
      "0",
      this.#store.clientId,
      ...[waiting, urgency, held.length].map(String),
      ...held,
      ...gone,
    ]);
  }
}
