/** Who holds which model up, in memory (promise 4). */
import type { Clock } from "../../core/runtime/clock.js";

interface Account {
  /** One entry per lease: a holder may have several. */
  readonly holders: Map<symbol, string>;
  idleSince: number;
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
    const account = this.#accounts.get(name) ?? { holders: new Map<symbol, string>(), idleSince: this.#clock.now() };
    this.#accounts.set(name, account);
    const key = Symbol(holder);
    account.holders.set(key, holder);
    return () => {
      if (!account.holders.delete(key) || account.holders.size > 0) return;
      account.idleSince = this.#clock.now();
      this.#onIdle(name);
    };
  }

  count(name: string): number {
    return this.#accounts.get(name)?.holders.size ?? 0;
  }

  /** Epoch ms of the last lease's end; null while one is held or where there never was one. */
  idleSince(name: string): number | null {
    const account = this.#accounts.get(name);
    return account === undefined || account.holders.size > 0 ? null : account.idleSince;
  }

  /** Drops what is remembered of a model that is gone; leases still held go on counting. */
  forget(name: string): void {
    if (this.count(name) === 0) this.#accounts.delete(name);
  }
}
