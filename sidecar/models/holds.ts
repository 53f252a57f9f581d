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
  /** See {@link Presence}. */
  readonly expectedProxies: () => number;
}

/** A server that was replaced by another one of its model. */
interface Former {
  /** Whether a call to it that began before is still under way. */
  readonly isCalled: () => boolean;
  /** The first version of the route table that does not show it. */
  readonly version: number;
}

export class Holds {
  readonly leases: Leases;
  readonly presence: Presence;
  readonly #formers = new WeakMap<ModelServer, Former>();
  readonly #needOf: (model: string) => ModelNeed;
  #isEnding = false;

  constructor({ clock, needOf, nameOf, onIdle, onFree, expectedProxies }: HoldsOptions) {
    this.#needOf = needOf;
    this.leases = new Leases(clock, onIdle);
    const take = (name: string, holder: string) => this.leases.take(nameOf(name), holder);
    this.presence = new Presence({ clock, take, onFree, expected: expectedProxies });
  }

  /** The sidecar ends: tasks wait for the next start, and whom we do not see then is not waited for. */
  end(): void {
    this.#isEnding = true;
  }

  /**
   * To be called in the turn in which another server has taken its place: from then on it is held by what had begun before, and by
   * nothing else of its model's.
   */
  replaced(server: ModelServer): void {
    this.#formers.set(server, { isCalled: this.leases.onServer(server.name), version: this.presence.announce() });
  }

  isFormer(server: ModelServer): boolean {
    return this.#formers.has(server);
  }

  /** It begins to drain. What was replaced has been announced. */
  announceDrain(server: ModelServer): void {
    if (!this.isFormer(server)) this.presence.announceDrain(server.name);
  }

  /** The one place where it is decided that nothing may stop a model server. */
  isHeld(server: ModelServer): boolean {
    const former = this.#formers.get(server);
    if (former !== undefined) return this.#isFormerHeld(server, former);
    const { name } = server;
    if (this.leases.count(name) > 0 || this.presence.isAwaited(name)) return true;
    const need = this.needOf(server);
    if (this.#isEnding) return need === "under-way";
    return need !== null || this.presence.isBlind(server.wasFound);
  }

  #isFormerHeld({ entry, wasFound }: ModelServer, { isCalled, version }: Former): boolean {
    if (isCalled() || (entry.serverId !== undefined && this.presence.isServerUsed(entry.serverId, version)))
      return true;
    return !this.#isEnding && this.presence.isBlind(wasFound);
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
    if (this.#formers.has(server)) return this.isHeld(server) ? "requests are open on it" : null;
    if (this.needOf(server) === "under-way") return "a training or another task is under way on it";
    return this.leases.count(server.name) > 0 ? "requests are open on it" : null;
  }
}
