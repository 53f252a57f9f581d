/** When expired models are looked for: a node-cron job, and the moments at which what was overdue is free. */
import { schedule } from "node-cron";
import type { Clock } from "../../core/runtime/clock.js";
import type { Logger } from "../../core/runtime/logger.js";
import { type Mortal, planReaps, type Reap } from "./reaper.js";

export interface ReaperOptions {
  /** `ripper.interval`; asked at every tick. */
  readonly intervalMs: () => number;
  readonly models: () => readonly Mortal[];
  /** Stops the model, and forgets it after a fixed time. @returns false when something came to hold it */
  readonly reap: (reap: Reap) => Promise<boolean>;
  readonly observer: {
    checked(model: Mortal): void;
    reaped(reap: Reap): void;
  };
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * A cron line cannot say "every 90 seconds", so the job ticks every second and a round is held when the interval has passed. Skipped
 * ticks (a machine that slept, a clock that was set) therefore cost nothing.
 */
const EVERY_SECOND = "* * * * * *";

export class Reaper {
  readonly #options: ReaperOptions;
  readonly #overdue = new Set<string>();
  /** Being stopped now. */
  readonly #reaping = new Map<string, Promise<void>>();
  #end: () => void | Promise<void> = () => {};
  #lastRoundMs = 0;
  #isStopped = false;

  constructor(options: ReaperOptions) {
    this.#options = options;
  }

  /** The first round is held one interval later: what an earlier sidecar left is known by then. */
  start(): void {
    const { clock, logger } = this.#options;
    this.#lastRoundMs = clock.elapsed();
    const job = schedule(EVERY_SECOND, () => this.#tick(), {
      name: "reaper",
      unref: true,
      suppressMissedWarning: true,
      logger: {
        info: () => {},
        debug: () => {},
        warn: () => {},
        error: (cause) => logger.error({ err: cause }, "the reaper's schedule has failed"),
      },
    });
    this.#end = () => job.destroy();
  }

  #tick(): void {
    const { clock, intervalMs } = this.#options;
    if (clock.elapsed() - this.#lastRoundMs < intervalMs()) return;
    this.#lastRoundMs = clock.elapsed();
    this.round();
  }

  /** Looks at all models once. */
  round(): void {
    const models = this.#options.models();
    for (const model of models) this.#options.observer.checked(model);
    this.#act(models);
  }

  /** A model's last lease has ended. */
  freed(name: string): void {
    if (this.#overdue.delete(name)) this.#act(this.#options.models().filter((model) => model.name === name));
  }

  #act(models: readonly Mortal[]): void {
    if (this.#isStopped) return;
    const { reaps, overdue } = planReaps(models, this.#options.clock.now());
    for (const name of overdue) this.#overdue.add(name);
    for (const reap of reaps) if (!this.#reaping.has(reap.name)) this.#reap(reap);
  }

  #reap(reap: Reap): void {
    const { observer, logger } = this.#options;
    const fields = { event: "model_reaped", model: reap.name, reason: reap.reason };
    const work = this.#options
      .reap(reap)
      .then(
        (isGone) => {
          if (!isGone) return void this.#overdue.add(reap.name);
          observer.reaped(reap);
          logger.info(fields, "a model past its time was stopped");
        },
        (cause) =>
          logger.error({ ...fields, err: cause }, "a model past its time could not be stopped; it is tried again"),
      )
      .finally(() => this.#reaping.delete(reap.name));
    this.#reaping.set(reap.name, work);
  }

  /** Resolves when nothing is being stopped any more. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#end();
    await Promise.all(this.#reaping.values());
  }
}
