/**
 * Tells a child that hangs from one that works: it counts signs of life, not time. Each look without one is a second of silence at
 * most, so that a machine that slept, a clock that was set or a supervisor that was stopped itself kills nobody.
 */
import { BEAT_MS } from "./ipc.js";

export class Watchdog {
  readonly #looksAllowed: number;
  readonly #onSilence: () => void;
  #timer: NodeJS.Timeout | undefined;
  #silentLooks = 0;

  /**
   * @param silenceMs   how long a child may be silent
   * @param onSilence   called once, then the watch is over
   */
  constructor(silenceMs: number, onSilence: () => void) {
    this.#looksAllowed = Math.max(2, Math.ceil(silenceMs / BEAT_MS));
    this.#onSilence = onSilence;
  }

  /** The first one begins the watch: a child that never beats is not watched. */
  beat(): void {
    this.#silentLooks = 0;
    this.#timer ??= setInterval(() => this.#look(), BEAT_MS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#silentLooks = 0;
  }

  #look(): void {
    this.#silentLooks += 1;
    if (this.#silentLooks <= this.#looksAllowed) return;
    this.stop();
    this.#onSilence();
  }
}
