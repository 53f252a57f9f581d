/**
 * What the proxies have in flight, and which route table each of them acts on: nothing is stopped that one of them may still use
 * (promise 4).
 *
 * A drain is announced by a route table of a new version that shows it. From the moment on at which every proxy has acknowledged that
 * version, what none of them has in flight will not be in flight again.
 */
import { randomUUID } from "node:crypto";
import type { PresenceReport, TableVersion } from "../../core/contract/internal-api.js";
import type { Clock } from "../../core/runtime/clock.js";

/**
 * A proxy that is out of sight counts as holding every model for so long, since it serves on from its last route table. One that lives
 * looks for us again within 2 s, and one that died is started again within 5 s; the rest is for a machine that was busy or asleep.
 * For the same time after our own start so do the proxies of an earlier sidecar, which nobody can count.
 */
export const MISSING_HOLD_MS = 20_000;

/** Proxies of an earlier sidecar have found us by then: they look at least every 2 s. */
const FIND_US_MS = 3_000;

/** Nothing was heard of it since its stream was opened. */
const UNHEARD = -1;

interface KnownProxy {
  /** Open route streams; 0 while it is out of sight. */
  streams: number;
  /** The newest version of ours it acts on. */
  acknowledged: number;
  /** Of its newest report: a call that was late must not undo a newer one. */
  sequence: number;
  /** See {@link PresenceReport.localUrl}; null until it is heard of. */
  localUrl: string | null;
  /** One lease for each model it has something in flight on. */
  readonly leases: Map<string, () => void>;
  /** Ids of the servers it has something in flight on. */
  servers: ReadonlySet<string>;
  cancelForget: () => void;
}

export interface PresenceOptions {
  readonly clock: Clock;
  /** Takes a lease on a model, as in {@link Leases}. */
  readonly take: (model: string, holder: string) => () => void;
  /** Whatever a proxy held may be free now. */
  readonly onFree: () => void;
  /** How many proxies there should be: an earlier sidecar's take up to 2 s to find us. Default: nobody knows. */
  readonly expected?: () => number;
}

export class Presence {
  readonly #options: PresenceOptions;
  readonly #epoch = randomUUID();
  readonly #proxies = new Map<string, KnownProxy>();
  /** By model: the first version that showed its newest drain. */
  readonly #drains = new Map<string, number>();
  readonly #listeners = new Set<() => void>();
  /** Called after each report, and when a proxy goes. */
  readonly #reports = new Set<() => void>();
  readonly #cancelGrace: () => void;
  readonly #sinceMs: number;
  #version = 1;
  #isGrace = true;
  #isEnding = false;

  constructor(options: PresenceOptions) {
    this.#options = options;
    this.#sinceMs = options.clock.elapsed();
    this.#cancelGrace = options.clock.after(MISSING_HOLD_MS, () => {
      this.#isGrace = false;
      options.onFree();
    });
  }

  /** Of the route table as it is now. */
  get table(): TableVersion {
    return { epoch: this.#epoch, version: this.#version };
  }

  /** The route table has changed. */
  advance(): void {
    this.#version += 1;
    for (const listener of this.#listeners) listener();
  }

  /**
   * Resolves once every proxy acts on the route table as it is now, one that is on its way to us too, or after the bound: whoever was told
   * of a new model finds it.
   */
  async whenFollowed(boundMs: number): Promise<void> {
    const version = this.#version;
    const isFollowed = () => !this.#isAnyBehind(version) && !this.#isAnyMissing();
    if (isFollowed()) return;
    const done = new AbortController();
    const look = () => {
      if (isFollowed()) done.abort();
    };
    this.#reports.add(look);
    await this.#options.clock.sleep(boundMs, done.signal);
    this.#reports.delete(look);
  }

  /** Where a program on this machine reaches a proxy; waits for the first one's report. Null when none comes within the bound. */
  async localUrl(boundMs: number): Promise<string | null> {
    const known = () => [...this.#proxies.values()].find(({ localUrl }) => localUrl !== null)?.localUrl ?? null;
    if (known() !== null) return known();
    const done = new AbortController();
    const look = () => {
      if (known() !== null) done.abort();
    };
    this.#reports.add(look);
    await this.#options.clock.sleep(boundMs, done.signal);
    this.#reports.delete(look);
    return known();
  }

  /** Called at each new version, before anything else happens. The answer unsubscribes. */
  onAdvance(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The model is draining from now on. Always a version of its own: an earlier one that looked alike was acknowledged in another time. */
  announceDrain(model: string): void {
    this.#drains.set(model, this.#version + 1);
    this.advance();
  }

  /** The answer is the first version of the table that shows what has just changed, always one of its own. */
  announce(): number {
    this.advance();
    return this.#version;
  }

  /** A proxy opened its route stream; the answer is to be called when that stream is closed. */
  connect(id: string): () => void {
    const proxy = this.#know(id);
    proxy.cancelForget();
    proxy.streams += 1;
    let isOpen = true;
    return () => {
      if (!isOpen) return;
      isOpen = false;
      proxy.streams -= 1;
      if (proxy.streams > 0 || this.#proxies.get(id) !== proxy) return;
      proxy.acknowledged = UNHEARD;
      for (const look of this.#reports) look();
      if (this.#isEnding) this.#forget(id, proxy);
      else this.#forgetLater(id, proxy);
    };
  }

  report(report: PresenceReport): void {
    const proxy = this.#know(report.proxy);
    if (report.sequence <= proxy.sequence) return;
    proxy.sequence = report.sequence;
    proxy.localUrl = report.localUrl;
    if (report.isLeaving) {
      this.#forget(report.proxy, proxy);
      return;
    }
    this.#hold(report, proxy);
    proxy.servers = new Set(Object.keys(report.servers));
    if (proxy.streams > 0) proxy.acknowledged = report.epoch === this.#epoch ? report.version : UNHEARD;
    this.#told();
  }

  #told(): void {
    for (const look of this.#reports) look();
    this.#options.onFree();
  }

  /** True while a proxy that we see may still send requests straight to this model, or has not said what it has in flight. */
  isAwaited(model: string): boolean {
    return this.#isAnyBehind(this.#drains.get(model) ?? 0);
  }

  /** True while a proxy has something in flight on this very server, or may have sent it something by a table before this version. */
  isServerUsed(serverId: string, version: number): boolean {
    return this.#isAnyBehind(version) || [...this.#proxies.values()].some(({ servers }) => servers.has(serverId));
  }

  /** True while a proxy that we see has not acknowledged this version or a newer one. */
  #isAnyBehind(version: number): boolean {
    return [...this.#proxies.values()].some(({ streams, acknowledged }) => streams > 0 && acknowledged < version);
  }

  get #isEarly(): boolean {
    return this.#options.clock.elapsed() - this.#sinceMs < FIND_US_MS;
  }

  #isAnyMissing(): boolean {
    const { expected = () => 0 } = this.#options;
    const seen = [...this.#proxies.values()].filter(({ streams }) => streams > 0).length;
    return seen < this.#proxies.size || (this.#isEarly && seen < expected());
  }

  /**
   * True while a proxy is out of sight that may have anything in flight.
   * @param isOld asked for a server that ran before this sidecar did: only that one can be in use by proxies it has never seen
   */
  isBlind(isOld: boolean): boolean {
    return (isOld && this.#isGrace) || [...this.#proxies.values()].some(({ streams }) => streams === 0);
  }

  /** This sidecar ends: whom it does not see, now or from now on, holds nothing any more. */
  end(): void {
    this.#isEnding = true;
    for (const [id, proxy] of this.#proxies) if (proxy.streams === 0) this.#forget(id, proxy);
  }

  stop(): void {
    this.#cancelGrace();
    for (const { cancelForget } of this.#proxies.values()) cancelForget();
    this.#listeners.clear();
  }

  #know(id: string): KnownProxy {
    const known = this.#proxies.get(id);
    if (known !== undefined) return known;
    const proxy: KnownProxy = {
      streams: 0,
      acknowledged: UNHEARD,
      sequence: 0,
      localUrl: null,
      leases: new Map(),
      servers: new Set(),
      cancelForget() {},
    };
    this.#proxies.set(id, proxy);
    this.#forgetLater(id, proxy);
    return proxy;
  }

  #hold({ proxy: id, inFlight, used }: PresenceReport, { leases }: KnownProxy): void {
    const open = new Set(Object.keys(inFlight).filter((model) => inFlight[model]! > 0));
    for (const model of open) {
      if (!leases.has(model)) leases.set(model, this.#options.take(model, `proxy ${id}`));
    }
    for (const [model, release] of leases) {
      if (open.has(model)) continue;
      leases.delete(model);
      release();
    }
    // What came and went between two reports is use all the same: idle time counts from it.
    for (const model of used) if (!leases.has(model)) this.#options.take(model, `proxy ${id}`)();
  }

  #forgetLater(id: string, proxy: KnownProxy): void {
    proxy.cancelForget();
    proxy.cancelForget = this.#options.clock.after(MISSING_HOLD_MS, () => this.#forget(id, proxy));
  }

  #forget(id: string, proxy: KnownProxy): void {
    proxy.cancelForget();
    this.#proxies.delete(id);
    for (const release of proxy.leases.values()) release();
    proxy.leases.clear();
    this.#told();
  }
}
