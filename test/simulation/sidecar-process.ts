/** The process in which the code under test lives: it can be stopped, go on, and die. What comes from outside passes through here. */
import type { Clock } from "../../core/runtime/clock.js";
import type { VirtualClock } from "./virtual-clock.js";

export class SidecarProcess {
  readonly clock: Clock;
  /** Which one it is among all of its history, from 1. */
  readonly number: number;
  readonly #world: VirtualClock;
  /** What came while it was stopped; null while it runs. */
  #held: (() => void)[] | null = null;
  #isAlive = true;

  constructor(world: VirtualClock, number: number) {
    this.number = number;
    this.#world = world;
    this.clock = {
      now: () => world.now(),
      elapsed: () => world.elapsed(),
      after: (delayMs, action) => this.after(delayMs, action),
      soon: (action) => void this.after(0, action),
      sleep: (delayMs, signal) => this.#sleep(delayMs, signal),
    };
  }

  get isAlive(): boolean {
    return this.#isAlive;
  }

  /** Runs what reaches the code inside: now, when it goes on, or never. */
  deliver(action: () => void): void {
    if (!this.#isAlive) return;
    if (this.#held === null) action();
    else this.#held.push(action);
  }

  after(delayMs: number, action: () => void): () => void {
    if (!this.#isAlive) return () => {};
    let isCancelled = false;
    const cancel = this.#world.after(delayMs, () => this.deliver(() => isCancelled || action()));
    return () => {
      isCancelled = true;
      cancel();
    };
  }

  /** SIGSTOP. */
  pause(): void {
    this.#held ??= [];
  }

  /** SIGCONT. */
  resume(): void {
    const held = this.#held ?? [];
    this.#held = null;
    for (const action of held) this.#world.after(0, () => this.deliver(action));
  }

  /** SIGKILL: nothing inside ever goes on. */
  kill(): void {
    this.#isAlive = false;
    this.#held = null;
  }

  #sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      const end = () => {
        cancel();
        signal?.removeEventListener("abort", end);
        resolve();
      };
      const cancel = this.after(delayMs, end);
      signal?.addEventListener("abort", end, { once: true });
    });
  }
}
