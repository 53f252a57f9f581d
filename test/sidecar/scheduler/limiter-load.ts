/** Permits over one Redis as a sidecar has them, and a load that counts what runs. */
import type { Test } from "tap";
import { systemClock } from "../../../core/runtime/clock.js";
import { createLogger } from "../../../core/runtime/logger.js";
import {
  createPermits,
  type PermitRequest,
  type PermitSettings,
  type Permits,
} from "../../../sidecar/scheduler/limiter.js";
import { createRedisLimiters, type RedisLimiters } from "../../../sidecar/scheduler/limiter-redis.js";

export interface Member {
  readonly permits: Permits;
  readonly limiters: RedisLimiters;
}

export const logger = createLogger({ level: "silent", format: "json", process: "test" });

export function join(t: Pick<Test, "teardown">, url: string, settings: Partial<PermitSettings> = {}): Member {
  const limiters = createRedisLimiters({ url, prefix: "test", clock: systemClock, logger });
  const permits = createPermits({ maxConcurrentTasks: 4, budgets: new Map(), ...settings }, { limiters });
  t.teardown(() => permits.stop());
  return { permits, limiters };
}

export const call = (changes: Partial<PermitRequest> = {}): PermitRequest => ({
  model: "a",
  class: "batch",
  priority: 5,
  training: false,
  concurrency: 4,
  ...changes,
});

export interface Load {
  /** Started so far. */
  readonly started: number;
  readonly running: number;
  /** Most that ever ran at once since the last {@link Load.resetPeak}. */
  readonly peak: number;
  /** Permit requests that were refused. */
  readonly refused: number;
  resetPeak(): void;
  /** Resolves at the next start. */
  nextStart(): Promise<void>;
  /** No new requests; resolves when all that run have ended. */
  end(): Promise<void>;
}

/** Keeps `width` requests going at each member; each call runs `runMs`. */
export function load(
  members: readonly Permits[],
  options: { width: number; runMs: number; request?: Partial<PermitRequest> },
): Load {
  let isOver = false;
  let heard: (() => void)[] = [];
  const counts = { started: 0, running: 0, peak: 0, refused: 0 };
  const over = new AbortController();
  const worker = async (permits: Permits) => {
    while (!isOver) {
      const permit = await permits.request(call(options.request), over.signal).catch(() => null);
      if (permit === null) {
        if (!isOver) counts.refused++;
        continue;
      }
      counts.started++;
      counts.peak = Math.max(counts.peak, ++counts.running);
      for (const each of heard.splice(0)) each();
      await new Promise((resolve) => setTimeout(resolve, options.runMs));
      counts.running--;
      permit.release();
    }
  };
  const workers = members.flatMap((each) => Array.from({ length: options.width }, () => worker(each)));
  return {
    get started() {
      return counts.started;
    },
    get running() {
      return counts.running;
    },
    get peak() {
      return counts.peak;
    },
    get refused() {
      return counts.refused;
    },
    resetPeak: () => {
      counts.peak = counts.running;
    },
    nextStart: () => new Promise((resolve) => heard.push(resolve)),
    async end() {
      isOver = true;
      over.abort(new Error("over"));
      await Promise.all(workers);
      heard = [];
    },
  };
}

/** @returns how long it took in ms */
export async function timed(work: Promise<unknown>): Promise<number> {
  const fromMs = performance.now();
  await work;
  return Math.round(performance.now() - fromMs);
}

/** Waits for starts, not for time. */
export async function starts(running: Load, count: number): Promise<void> {
  for (let each = 0; each < count; each++) await running.nextStart();
}
