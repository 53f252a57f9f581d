/** One supervised child: started, watched, killed when it hangs at start, started again when it dies. */
import type { ChildProcess } from "node:child_process";
import type { Logger } from "../core/runtime/logger.js";
import type { FailedMessage, FromChild, ReadyMessage, ToChild } from "./ipc.js";
import { decideRestart } from "./restart-policy.js";
import { Watchdog } from "./watchdog.js";

export interface PartOptions {
  /** `sidecar`, `proxy-1`, … */
  readonly name: string;
  /** Starts the process, with an IPC channel. */
  readonly start: () => ChildProcess;
  /** The answer to the child's hello. */
  readonly greeting: () => ToChild;
  /** A child that is not ready after this long is killed. */
  readonly startTimeoutMs: number;
  /** A child that gave signs of life and gives none for this long is killed, and with that started again. */
  readonly silenceMs: number;
  readonly logger: Logger;
  /** Called each time the child has become ready. */
  readonly onReady: (message: ReadyMessage) => void;
  /** Everything the child says that is not about its start. */
  readonly onMessage: (message: FromChild) => void;
  /** The child never became ready and is not tried again. */
  readonly onGivenUp: (why: string) => void;
}

export class Part {
  readonly #options: PartOptions;
  #child: ChildProcess | undefined;
  #timer: NodeJS.Timeout | undefined;
  readonly #watchdog: Watchdog;
  #startedAtMs = 0;
  #deaths = 0;
  #isReady = false;
  #wasEverReady = false;
  #isStopping = false;
  #saidWhy: FailedMessage | undefined;
  #whenGone: (() => void)[] = [];
  #restarts = 0;

  constructor(options: PartOptions) {
    this.#options = options;
    this.#watchdog = new Watchdog(options.silenceMs, () => {
      const { name, logger, silenceMs } = options;
      logger.error({ event: "hung", part: name, durationMs: silenceMs }, "no sign of life; killing it");
      // Only its end starts the next one: there are never two.
      this.signal("SIGKILL");
    });
  }

  get name(): string {
    return this.#options.name;
  }

  get isReady(): boolean {
    return this.#isReady;
  }

  /** Times it was started again. */
  get restarts(): number {
    return this.#restarts;
  }

  /** The running child's process id, or null. */
  get pid(): number | null {
    return this.#child?.pid ?? null;
  }

  start(): void {
    const { name, logger, startTimeoutMs } = this.#options;
    this.#startedAtMs = Date.now();
    this.#saidWhy = undefined;
    const child = this.#options.start();
    this.#child = child;
    child.on("message", (message) => this.#hear(child, message as FromChild));
    child.once("exit", (code, signal) => this.#bury(child, code, signal));
    child.on("error", (err) => {
      logger.error({ part: name, err }, "the child process reported an error");
      if (child.pid === undefined) this.#bury(child, null, null);
    });
    this.#timer = setTimeout(() => {
      logger.error({ event: "start-timeout", part: name, durationMs: startTimeoutMs }, "not ready in time; killing it");
      child.kill("SIGKILL");
    }, startTimeoutMs);
  }

  /** Says something to the child; silently dropped when it is gone. */
  send(message: ToChild): void {
    const child = this.#child;
    if (child?.connected !== true) return;
    child.send(message, () => undefined);
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }

  /**
   * Ends the child for good: SIGTERM now, SIGKILL at the deadline. Resolves when it is gone.
   * @param deadlineMs epoch time
   * @returns whether it ended by itself
   */
  async stop(deadlineMs: number): Promise<boolean> {
    this.#isStopping = true;
    this.#quiet();
    if (this.#child === undefined) return true;
    let endedByItself = true;
    const force = setTimeout(
      () => {
        endedByItself = false;
        this.signal("SIGKILL");
      },
      Math.max(0, deadlineMs - Date.now()),
    );
    const gone = new Promise<void>((resolve) => this.#whenGone.push(resolve));
    this.signal("SIGTERM");
    await gone;
    clearTimeout(force);
    return endedByItself;
  }

  /** Ends the child at once and for good. */
  kill(): void {
    this.#isStopping = true;
    this.#quiet();
    this.signal("SIGKILL");
  }

  #quiet(): void {
    clearTimeout(this.#timer);
    this.#watchdog.stop();
  }

  #hear(child: ChildProcess, message: FromChild): void {
    if (child !== this.#child) return;
    if (message.type === "hello") this.send(this.#options.greeting());
    else if (message.type === "failed") this.#saidWhy = message;
    else if (message.type === "beat") {
      if (!this.#isStopping) this.#watchdog.beat();
    } else if (message.type !== "ready") this.#options.onMessage(message);
    else if (!this.#isReady && !this.#isStopping) {
      clearTimeout(this.#timer);
      this.#isReady = true;
      this.#wasEverReady = true;
      this.#options.onReady(message);
    }
  }

  #bury(child: ChildProcess, code: number | null, signal: NodeJS.Signals | null): void {
    if (child !== this.#child) return;
    this.#quiet();
    this.#child = undefined;
    this.#isReady = false;
    for (const resolve of this.#whenGone.splice(0)) resolve();
    if (this.#isStopping) return;
    const { name, logger } = this.#options;
    const why = this.#saidWhy?.message ?? `it ended with ${signal ?? `exit code ${code}`}`;
    const decision = decideRestart({
      deathsBefore: this.#deaths,
      livedMs: Date.now() - this.#startedAtMs,
      wasEverReady: this.#wasEverReady,
      saidWhy: this.#saidWhy !== undefined,
    });
    if (decision.action === "give-up") {
      this.#isStopping = true;
      this.#options.onGivenUp(why);
      return;
    }
    logger.warn({ event: "died", part: name, why, restartInMs: decision.delayMs }, "a part died; starting it again");
    this.#deaths = decision.deaths;
    this.#restarts += 1;
    this.#timer = setTimeout(() => this.start(), decision.delayMs);
  }
}
