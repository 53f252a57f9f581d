/** What keeps a model server from being stopped (promise 4): leases, tasks, and what proxies may have in flight. */
import type { Clock } from "../../core/runtime/clock.js";
import type { ModelNeed } from "../tasks/store.js";
import { Leases } from "./leases.js";
import { Presence } from "./presence.js";
import type { ModelServer } from "./server.js";

export interface HoldsOptions {
  readonly clock: Clock;
  /** What of a model's tasks is not final. */
  readonly needOf: (model: string) => ModelNeed;
  /** The name of a model that may be named by its address. */
  readonly nameOf: (nameOrAddress: string) => string;
  /** The last lease on this model has ended. */
  readonly onIdle: (name: string) => void;
  /** Whatever a proxy held may be free now. */
  readonly onFree: () => void;
}

export class Holds {
  readonly leases: Leases;
  readonly presence: Presence;
  readonly #needOf: (model: string) => ModelNeed;
  #isEnding = false;

  constructor({ clock, needOf, nameOf, onIdle, onFree }: HoldsOptions) {
    this.#needOf = needOf;
    this.leases = new Leases(clock, onIdle);
    this.presence = new Presence({ clock, take: (name, holder) => this.leases.take(nameOf(name), holder), onFree });
  }

  /** The sidecar ends: tasks wait for the next start, and whom we do not see then is not waited for. */
  end(): void {
    this.#isEnding = true;
  }

  /** The one place where it is decided that nothing may stop a model. */
  isHeld(server: ModelServer): boolean {
    const { name } = server;
    if (this.leases.count(name) > 0 || this.presence.isAwaited(name)) return true;
    const need = this.needOf(server);
    if (this.#isEnding) return need === "under-way";
    return need !== null || this.presence.isBlind(server.wasFound);
  }

  /** A task may name its model by address. A store that cannot be read may hold anything. */
  needOf({ name, entry: { address } }: ModelServer): ModelNeed {
    try {
      const needs = [this.#needOf(name), address === null ? null : this.#needOf(address)];
      return needs.find((each) => each === "under-way") ?? needs.find((each) => each !== null) ?? null;
    } catch {
      return "under-way";
    }
  }

  /** Why a server outlives this sidecar, for the log; null: it does not. */
  whyLeft(server: ModelServer): string | null {
    if (this.needOf(server) === "under-way") return "a training or another task is under way on it";
    return this.leases.count(server.name) > 0 ? "requests are open on it" : null;
  }
}
