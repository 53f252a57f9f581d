/**
 * The driver of one managed model. Every start waits for its turn, then takes the definition as it is at that moment and makes a driver
 * for it: a change counts from the next start, and so does a Docker daemon that came or went.
 */
import type { Readable } from "node:stream";
import type { Clock } from "../../core/runtime/clock.js";
import { type ExitListener, type Launched, type ServerDriver, startFailure } from "./drivers/driver.js";
import type { LogOptions } from "./management.js";

/** A driver, and where its servers run. */
export interface PlacedDriver {
  readonly place: "process" | "docker";
  readonly driver: ServerDriver;
}

export interface ManagedDriverOptions {
  /**
   * For the definition of this moment.
   * @param isStart false when only what runs already is looked for
   * @throws MODEL_START_FAILED where nothing can run it
   */
  readonly create: (isStart: boolean) => Promise<PlacedDriver>;
  /** Resolves when it may start. @throws MODEL_START_FAILED, {@link StartRefused} */
  readonly admit: (signal: AbortSignal) => Promise<void>;
  /** It runs, started now or found. */
  readonly onRun: (launched: Launched) => void;
  readonly clock: Clock;
}

export class ManagedDriver implements ServerDriver {
  readonly #options: ManagedDriverOptions;
  #present: PlacedDriver | null = null;
  /** Why the last stop has failed; null when it has not. Rejects never. */
  #lastStop: Promise<Error | null> = Promise.resolve(null);
  /** The start that is under way, until its own driver has it. */
  #pending = new AbortController();

  constructor(options: ManagedDriverOptions) {
    this.#options = options;
  }

  /** Where the present or the last run is; null before the first. */
  get place(): PlacedDriver["place"] | null {
    return this.#present?.place ?? null;
  }

  async start(onExit: ExitListener): Promise<Launched> {
    const pending = new AbortController();
    this.#pending = pending;
    await this.#options.admit(pending.signal);
    // What is left of a process that has just died ends first: both use one folder.
    if (this.place === "process") await this.#present!.driver.stop(this.#options.clock.now());
    const next = await this.#options.create(true);
    if (pending.signal.aborted) throw startFailure("its start was called off");
    this.#present = next;
    return this.#told(await next.driver.start(onExit));
  }

  async adopt(onExit: ExitListener): Promise<Launched | null> {
    const next = await this.#options.create(false);
    this.#present = next;
    return this.#told(await next.driver.adopt(onExit));
  }

  #told<Run extends Launched | null>(launched: Run): Run {
    if (launched !== null) this.#options.onRun(launched);
    return launched;
  }

  async stop(deadlineMs: number): Promise<void> {
    this.#pending.abort();
    const stop = Promise.resolve(this.#present?.driver.stop(deadlineMs));
    this.#lastStop = stop.then(
      () => null,
      (cause: Error) => cause,
    );
    await stop;
  }

  /** Resolves when no stop is under way. @throws what the last one has failed with, once */
  async stopped(): Promise<void> {
    const fault = await this.#lastStop;
    this.#lastStop = Promise.resolve(null);
    if (fault !== null) throw fault;
  }

  leave(): void {
    this.#pending.abort();
    this.#present?.driver.leave();
  }

  async logs(options: LogOptions): Promise<Readable> {
    this.#present ??= await this.#options.create(false);
    return this.#present.driver.logs(options);
  }
}
