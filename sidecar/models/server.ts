/** One model server: owns its life (`lifecycle.ts`), performs the actions, tells those who wait. */
import { SluiceError } from "../../core/contract/errors.js";
import type { ModelEntry, ModelState } from "../../core/contract/models.js";
import type { Clock } from "../../core/runtime/clock.js";
import type { HttpClient } from "../../core/runtime/http.js";
import type { Logger } from "../../core/runtime/logger.js";
import { type Launched, type ServerDriver, StartRefused } from "./drivers/driver.js";
import { advance, type Life, type LifeAction, type LifeEvent, type LifeRules, UNBORN } from "./lifecycle.js";
import { checkReadiness } from "./readiness.js";

/** What is known of a server apart from its state; `problem` is why it cannot be reached at all. */
export type ServerDefinition = Omit<ModelEntry, "state">;

export interface ModelServerOptions {
  readonly definition: ServerDefinition;
  /** Null for a server that somebody else runs. */
  readonly driver: ServerDriver | null;
  /** Asked for at every step, so that a new configuration takes effect with the next one. */
  readonly rules: () => LifeRules;
  readonly clock: Clock;
  readonly http: HttpClient;
  readonly logger: Logger;
  readonly onChange: () => void;
  /** Whether anything holds it: a lease, a task, a proxy. Whoever waits for it to become ready holds it too, and is known here. */
  readonly isHeld: () => boolean;
  /** It begins to drain: from now on {@link isHeld} says no only when every proxy has heard of it. */
  readonly onDrain?: () => void;
  /** How long a start took, from its launch. */
  readonly onStarted?: (tookMs: number) => void;
  /** A start has failed for good. True: it is started again for those who wait, with what it should have been started with. */
  readonly onFailed?: (why: string) => boolean;
}

/** While something holds it, it is looked again at least this often: not every hold has an end that is told. */
const HOLD_LOOK_MS = 1_000;

/** Bound on ending a server: the drivers' grace and a little more. */
const END_TIMEOUT_MS = 15_000;

interface Waiter {
  resolve(): void;
  reject(cause: SluiceError): void;
}

export class ModelServer {
  readonly name: string;
  readonly #options: ModelServerOptions;
  readonly #waiters = new Set<Waiter>();
  readonly #closed = new AbortController();
  /** Resolves after the first readiness check, whatever it said, or when the server is closed. */
  readonly firstCheck: Promise<void>;
  #resolveFirstCheck: () => void = () => {};
  #begun: Promise<void> = Promise.resolve();
  #definition: ServerDefinition;
  #life: Life = UNBORN;
  /** Where the present run answers. */
  #url: string | null;
  /** The present run of a server of ours. */
  #launched: Launched | null = null;
  #cancelTimer: () => void = () => {};
  #isChecking = false;
  /** Ends of runs that a drain led to. */
  #stops = 0;
  /** Woken when its life moved on or a hold on it ended. */
  readonly #watchers = new Set<() => void>();

  constructor(options: ModelServerOptions) {
    this.name = options.definition.name;
    this.#options = options;
    this.#definition = options.definition;
    this.#url = options.definition.url;
    this.firstCheck = new Promise((resolve) => {
      this.#resolveFirstCheck = resolve;
    });
  }

  get definition(): ServerDefinition {
    return this.#definition;
  }

  get state(): ModelState {
    return this.#life.state;
  }

  get isClosed(): boolean {
    return this.#closed.signal.aborted;
  }

  get entry(): ModelEntry {
    const { state, problem } = this.#life;
    const isDown = state === "absent" || state === "failed";
    const entry = { ...this.#definition, state, problem: problem ?? this.#definition.problem };
    if (this.#options.driver === null) return { ...entry, url: this.#url };
    if (isDown || this.#launched === null) return { ...entry, url: null };
    const { url, id, address } = this.#launched;
    return { ...entry, url, address, serverId: id };
  }

  /** Begins to watch a server that runs already; one of ours is looked for first. */
  begin(): Promise<void> {
    this.#begun = this.#find();
    return this.#begun;
  }

  async #find(): Promise<void> {
    const { driver, logger } = this.#options;
    // What is found becomes the next run; nothing else can begin one before this has ended.
    const run = this.#life.run + 1;
    try {
      if (driver !== null) this.#place(await driver.adopt((cause) => this.#apply({ type: "exited", run, cause })));
    } catch (cause) {
      logger.error({ model: this.name, err: cause }, "what an earlier sidecar left behind could not be looked at");
    }
    if (this.#url !== null) this.#apply({ type: "found" });
  }

  #place(launched: Launched | null): void {
    this.#launched = launched;
    this.#url = launched?.url ?? null;
  }

  /** New settings for the same server at the same place. */
  adjust(definition: ServerDefinition): void {
    this.#definition = definition;
    this.#options.onChange();
  }

  /** Checks a watched server now rather than at its next time. */
  checkNow(): void {
    // Between two runs the timer belongs to the next start.
    if (this.#url === null || this.#life.isPausing) return;
    if (["starting", "ready", "unreachable"].includes(this.#life.state)) this.#scheduleCheck(this.#life.run, 0);
  }

  /** True while it must not be stopped (promise 4). */
  get isHeld(): boolean {
    return this.#waiters.size > 0 || this.#options.isHeld();
  }

  /** True when its present run was begun by an earlier sidecar, or by somebody else. */
  get wasFound(): boolean {
    return this.#life.attempt === 0;
  }

  /** Milliseconds since its program was launched, while it starts; else null. */
  get launchedForMs(): number | null {
    const { launchedAt } = this.#life;
    return launchedAt === null ? null : this.#options.clock.elapsed() - launchedAt;
  }

  /** Asks a running server of ours to stop once nothing holds it. A request that needs it meanwhile calls the stop off. */
  drain(): void {
    this.#apply({ type: "stop-asked" });
  }

  /**
   * Stops it at the first moment at which nothing holds it. Until then requests go on as ever; one that comes in that very moment is
   * served first.
   * @param waitMs how long to wait for that moment, from 0; the driver's own time to end the server comes on top
   * @returns `stopped` also where nothing ran; `held`: it runs on
   */
  async stopWhenIdle(waitMs: number): Promise<"stopped" | "held"> {
    const stopsBefore = this.#stops;
    const untilMs = this.#options.clock.elapsed() + waitMs;
    for (;;) {
      const { state, before } = this.#life;
      if (this.#stops > stopsBefore || state === "absent" || state === "failed") return "stopped";
      if (this.isClosed) return "held";
      const leftMs = untilMs - this.#options.clock.elapsed();
      const isEnding = state === "draining" && before === null;
      if (leftMs <= 0 && !isEnding && (state === "draining" || this.isHeld)) {
        this.#apply({ type: "stop-called-off" });
        return "held";
      }
      if (state !== "draining" && !this.isHeld) this.drain();
      else await this.#moved(isEnding ? HOLD_LOOK_MS : Math.min(leftMs, HOLD_LOOK_MS));
    }
  }

  async #moved(waitMs: number): Promise<void> {
    const over = new AbortController();
    const wake = () => over.abort();
    this.#watchers.add(wake);
    await this.#options.clock.sleep(waitMs, over.signal);
    this.#watchers.delete(wake);
  }

  #wakeWatchers(): void {
    for (const wake of this.#watchers) wake();
  }

  /** To be called when a hold on it may have been the last one. */
  leasesEnded(): void {
    this.#lookDrained();
    this.#wakeWatchers();
  }

  #lookDrained(): void {
    if (this.#life.state !== "draining" || this.#life.before === null) return;
    if (!this.isHeld) this.#apply({ type: "drained" });
    else this.#schedule(HOLD_LOOK_MS, () => this.#lookDrained());
  }

  /**
   * Resolves when it is ready, starting it where that is possible.
   * @throws MODEL_NOT_READY after `waitMs`, MODEL_START_FAILED, CLIENT_GONE when the signal aborts, MODEL_UNKNOWN when it is closed
   */
  async ensureReady(waitMs: number, signal?: AbortSignal): Promise<ModelEntry> {
    if (this.#life.state === "ready") return this.entry;
    if (this.isClosed) throw this.#goneError();
    if (signal?.aborted) throw new SluiceError("CLIENT_GONE", "the caller went away");
    const waiting = this.#wait(waitMs, signal);
    // What an earlier sidecar left is looked for first, and ending it may take longer than this caller waits.
    void this.#begun.then(() => this.#apply({ type: "wanted", held: this.isHeld }));
    await waiting;
    return this.entry;
  }

  #wait(waitMs: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const over = new AbortController();
      const end = (settle: () => void) => {
        over.abort();
        signal?.removeEventListener("abort", onAbort);
        this.#waiters.delete(waiter);
        settle();
        if (this.#waiters.size === 0) this.leasesEnded();
      };
      const waiter: Waiter = { resolve: () => end(resolve), reject: (cause) => end(() => reject(cause)) };
      const onAbort = () => waiter.reject(new SluiceError("CLIENT_GONE", "the caller went away"));
      // A sleep, not a timer: whoever waits keeps the process alive.
      void this.#options.clock.sleep(waitMs, over.signal).then(() => {
        if (!over.signal.aborted) waiter.reject(this.#notReadyError());
      });
      signal?.addEventListener("abort", onAbort, { once: true });
      this.#waiters.add(waiter);
    });
  }

  #notReadyError(): SluiceError {
    const { state, problem } = this.entry;
    return new SluiceError(
      "MODEL_NOT_READY",
      `Model '${this.name}' is known but not ready (${state}${problem === null ? "" : `: ${problem}`}).`,
      { retryAfterMs: Math.max(1_000, this.#options.rules().probeIntervalMs) },
    );
  }

  #goneError(): SluiceError {
    return new SluiceError("MODEL_UNKNOWN", `Model '${this.name}' is no longer there.`);
  }

  /** Stops watching; a server of ours is left as it is. Those who wait are told. */
  close(reason: SluiceError = this.#goneError()): void {
    this.#closed.abort();
    this.#cancelTimer();
    this.#resolveFirstCheck();
    for (const waiter of [...this.#waiters]) waiter.reject(reason);
    this.#wakeWatchers();
  }

  /** Closes it and ends a server of ours. */
  async stop(deadlineMs: number): Promise<void> {
    this.close(new SluiceError("SHUTTING_DOWN", "Sluice is stopping"));
    await this.#options.driver?.stop(deadlineMs);
  }

  #apply(event: LifeEvent): void {
    if (this.#closed.signal.aborted) return;
    const before = this.#life;
    const isOver = (event.type === "exited" || event.type === "stopped") && event.run === before.run;
    if (isOver && this.#options.driver !== null) this.#place(null);
    const { life, actions } = advance(before, event, this.#options.clock.elapsed(), this.#options.rules());
    this.#life = life;
    if (before.state === "draining" && before.before === null && life.state !== "draining") this.#stops += 1;
    if (life.state !== before.state || life.problem !== before.problem) this.#options.onChange();
    for (const action of actions) this.#perform(action);
    if (life.state !== before.state) this.#wakeWatchers();
  }

  #perform(action: LifeAction): void {
    switch (action.do) {
      case "start":
        void this.#start(action.run);
        return;
      case "check":
        this.#scheduleCheck(action.run, action.afterMs);
        return;
      case "wake":
        this.#schedule(action.afterMs, () => this.#apply({ type: "due", run: action.run }));
        return;
      case "drain":
        this.#options.onDrain?.();
        this.#lookDrained();
        return;
      case "stop":
        void this.#end(action.run);
        return;
      case "tell":
        this.#tell(action.what, action.why);
        if (action.tookMs !== undefined) this.#options.onStarted?.(action.tookMs);
    }
  }

  async #start(run: number): Promise<void> {
    try {
      const launched = await this.#options.driver!.start((cause) => this.#apply({ type: "exited", run, cause }));
      if (run === this.#life.run) this.#place(launched);
      this.#apply({ type: "launched", run });
      this.#options.onChange();
    } catch (caught) {
      const known = caught instanceof SluiceError && caught.code === "MODEL_START_FAILED";
      if (!known) this.#options.logger.error({ model: this.name, err: caught }, "a model server could not be started");
      const problem = known ? caught.message : "the model server could not be started";
      this.#apply({ type: "start-failed", run, problem, isFinal: caught instanceof StartRefused });
    }
  }

  async #end(run: number): Promise<void> {
    try {
      await this.#options.driver?.stop(this.#options.clock.now() + END_TIMEOUT_MS);
    } catch (cause) {
      this.#options.logger.error({ model: this.name, err: cause }, "a model server could not be stopped");
    }
    this.#apply({ type: "stopped", run });
  }

  #schedule(afterMs: number, action: () => void): void {
    this.#cancelTimer();
    this.#cancelTimer = this.#options.clock.after(afterMs, action);
  }

  #scheduleCheck(run: number, afterMs: number): void {
    this.#schedule(afterMs, () => void this.#check(run));
  }

  async #check(run: number): Promise<void> {
    if (this.#isChecking || this.#url === null || run !== this.#life.run) return;
    this.#isChecking = true;
    const { http, clock } = this.#options;
    const outcome = await checkReadiness(http, this.#url, clock, this.#closed.signal);
    this.#isChecking = false;
    this.#apply({ type: "checked", run, outcome });
    // A check of an earlier run kept the present one from beginning its own.
    if (run !== this.#life.run) this.checkNow();
    this.#resolveFirstCheck();
  }

  #tell(what: Extract<LifeAction, { do: "tell" }>["what"], why: string | undefined): void {
    const { logger } = this.#options;
    const fields = { model: this.name, ...(why === undefined ? {} : { reason: why }) };
    switch (what) {
      case "ready":
        logger.info({ event: "model_ready", ...fields }, "a model server is ready");
        for (const waiter of [...this.#waiters]) waiter.resolve();
        return;
      case "failed":
        logger.error({ event: "model_failed", ...fields }, "a model server could not be started");
        if (this.#options.onFailed?.(why ?? "it could not be started") === true) {
          this.#apply({ type: "wanted", held: this.isHeld });
          return;
        }
        for (const waiter of [...this.#waiters]) waiter.reject(this.#failedError(why ?? "it could not be started"));
        return;
      case "unreachable":
        logger.warn({ event: "model_unreachable", ...fields }, "a model server is not reachable");
        return;
      case "retry":
        logger.warn({ event: "model_retry", ...fields }, "starting a model server failed; it is tried again");
        return;
      case "exited":
        logger.warn({ event: "model_exited", ...fields }, "a model server ended; the next request starts it again");
    }
  }

  #failedError(why: string): SluiceError {
    return new SluiceError("MODEL_START_FAILED", `Model '${this.name}' could not be started: ${why}.`);
  }
}
