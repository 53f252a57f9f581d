/** Who holds which model up, in memory (promise 4). */
import type { Clock } from "../../core/runtime/clock.js";

/**
 * What a lease is on. `model`: whichever server the model has; `server`: a call to the one it has now; `training`: such a call whose run
 * is asked for later, at that server alone.
 */
export type LeaseOn = "model" | "server" | "training";

interface Account {
  /** One entry per lease, named for its holder: a holder may have several. */
  readonly held: Map<symbol, LeaseOn>;
  /** Elapsed ms: who sets the machine's clock makes nothing idle. */
  idleSinceMs: number;
}

export class Leases {
  readonly #accounts = new Map<string, Account>();
  readonly #clock: Clock;
  readonly #onIdle: (name: string) => void;

  /** @param onIdle called when a model's last lease ends */
  constructor(clock: Clock, onIdle: (name: string) => void = () => {}) {
    this.#clock = clock;
    this.#onIdle = onIdle;
  }

  /** The answer releases the lease; releasing twice is harmless. */
  take(name: string, holder: string, on: LeaseOn = "model"): () => void {
    const account = this.#accounts.get(name) ?? { held: new Map(), idleSinceMs: this.#clock.elapsed() };
    this.#accounts.set(name, account);
    const key = Symbol(holder);
    account.held.set(key, on);
    return () => {
      if (!account.held.delete(key) || account.held.size > 0) return;
      account.idleSinceMs = this.#clock.elapsed();
      this.#onIdle(name);
    };
  }

  count(name: string): number {
    return this.#accounts.get(name)?.held.size ?? 0;
  }

  isTraining(name: string): boolean {
    return [...(this.#accounts.get(name)?.held.values() ?? [])].includes("training");
  }

  /** The leases on the server that the model has now. The answer says whether one of them is still held. */
  onServer(name: string): () => boolean {
    const held = this.#accounts.get(name)?.held ?? new Map<symbol, LeaseOn>();
    const keys = [...held].filter(([, on]) => on !== "model").map(([key]) => key);
    return () => keys.some((key) => held.has(key));
  }

  /** When the last lease ended, in elapsed ms of the clock; null while one is held or where there never was one. */
  idleSinceMs(name: string): number | null {
    const account = this.#accounts.get(name);
    return account === undefined || account.held.size > 0 ? null : account.idleSinceMs;
  }
}
