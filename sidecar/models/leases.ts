/** Who holds which model up, in memory (promise 4). */
import type { Clock } from "../../core/runtime/clock.js";

interface Account {
  /** One entry per lease, named for its holder: a holder may have several. */
  readonly held: Set<symbol>;
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
  take(name: string, holder: string): () => void {
    const account = this.#accounts.get(name) ?? { held: new Set<symbol>(), idleSinceMs: this.#clock.elapsed() };
    this.#accounts.set(name, account);
    const key = Symbol(holder);
    account.held.add(key);
    return () => {
      if (!account.held.delete(key) || account.held.size > 0) return;
      account.idleSinceMs = this.#clock.elapsed();
      this.#onIdle(name);
    };
  }

  count(name: string): number {
    return this.#accounts.get(name)?.held.size ?? 0;
  }

  /** When the last lease ended, in elapsed ms of the clock; null while one is held or where there never was one. */
  idleSinceMs(name: string): number | null {
    const account = this.#accounts.get(name);
    return account === undefined || account.held.size > 0 ? null : account.idleSinceMs;
  }
}
