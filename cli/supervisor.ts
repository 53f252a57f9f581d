/**
 * Keeps one sidecar and N proxies alive as child processes. Proxies are cluster workers that accept on one shared socket by themselves,
 * so the supervisor is not on any request's way.
 */
import { type ChildProcess, fork } from "node:child_process";
import cluster from "node:cluster";
import type { Config } from "../config/schema.js";
import type { Logger } from "../core/runtime/logger.js";
import { MetricsGatherer } from "./gather-metrics.js";
import { type FromChild, type Place, type ReadyMessage, SUPERVISED_VARIABLE } from "./ipc.js";
import { Part } from "./part.js";

export interface SupervisorOptions {
  /** The program every child runs; its first argument is `sidecar` or `proxy`. */
  readonly exec: string;
  /** Follows that first argument: the flags the supervisor itself was given. */
  readonly args: readonly string[];
  readonly config: Config;
  readonly socketPath: string;
  /** Bound on a child's way to readiness. Default 60_000. */
  readonly startTimeoutMs?: number;
  /** A sidecar that shows no sign of life for this long hangs, and is replaced. Default 30_000. */
  readonly silenceMs?: number;
  readonly logger: Logger;
  /** Everything is ready for the first time. */
  readonly onReady: (status: Status) => void;
  /** A part that died is ready again. */
  readonly onRestarted: (which: "sidecar" | "proxy", status: Status) => void;
  /** A part cannot start; the caller stops the rest. */
  readonly onGivenUp: (part: string, why: string) => void;
}

export interface Status {
  /** Where the proxies listen; 0 before the first of them does. */
  readonly port: number;
  /** Where the model registry listens; null before it does. */
  readonly registry: Place | null;
  readonly sidecar: number | null;
  readonly proxies: readonly (number | null)[];
}

const DEFAULT_START_TIMEOUT_MS = 60_000;
/** Far beyond what the sidecar's event loop is ever busy for, below what a held caller's proxy waits for it (60 s). */
const DEFAULT_SILENCE_MS = 30_000;
/** What stopping may take beyond `proxy.timeouts.drain`: first part for the proxies' own end, the rest for the sidecar's. */
const PROXY_STOP_MS = 5_000;
const SIDECAR_STOP_MS = 10_000;
/** A proxy looks for the sidecar again after at most 2 s. */
const FOLLOW_WITHIN_MS = 5_000;
const FOLLOW_CHECK_MS = 10;

/**
 * Half of V8's time at 512 connections went into copying requests in flight out of a young heap of 16 MB; 32 MB holds them (measured:
 * 18,700 requests a second in place of 14,000).
 */
const YOUNG_HEAP = "--max-semi-space-size=32";

export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #sidecar: Part;
  readonly #proxies: Part[];
  readonly #metrics: MetricsGatherer;
  #port: number;
  /** What the living proxies were told to listen on: 0 or the port. */
  #askedPort: number;
  #registry: Place | null = null;
  readonly #following = new Set<Part>();
  #wasReady = false;
  #stopped: Promise<boolean> | undefined;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#port = options.config.proxy.port;
    this.#askedPort = this.#port;
    this.#sidecar = this.#part("sidecar", () => this.#forkSidecar());
    this.#proxies = Array.from({ length: options.config.proxy.workers }, (_, index) =>
      this.#part(`proxy-${index + 1}`, () => this.#forkProxy()),
    );
    this.#metrics = new MetricsGatherer({
      sidecar: this.#sidecar,
      proxies: this.#proxies,
      socketPath: options.socketPath,
    });
  }

  start(): void {
    this.#sidecar.start();
    // A free port is taken by the first proxy and shared by the others, so those wait until it is known.
    const now = this.#port === 0 ? this.#proxies.slice(0, 1) : this.#proxies;
    for (const proxy of now) proxy.start();
  }

  get status(): Status {
    const proxies = this.#proxies.map((proxy) => proxy.pid);
    return { port: this.#port, registry: this.#registry, sidecar: this.#sidecar.pid, proxies };
  }

  /** Has the sidecar read its configuration again. */
  reload(): void {
    this.#sidecar.signal("SIGHUP");
  }

  /**
   * Lets the proxies finish what is in flight, then ends the sidecar. Bounded by `proxy.timeouts.drain` + 15 s. Idempotent.
   * @returns whether every part ended by itself
   */
  stop(): Promise<boolean> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<boolean> {
    const proxiesByMs = Date.now() + this.#options.config.proxy.timeouts.drain + PROXY_STOP_MS;
    const proxies = await Promise.all(this.#proxies.map((proxy) => proxy.stop(proxiesByMs)));
    const sidecar = await this.#sidecar.stop(proxiesByMs + SIDECAR_STOP_MS);
    await this.#metrics.close();
    return sidecar && proxies.every(Boolean);
  }

  /** Ends every child at once, whatever is in flight. */
  kill(): void {
    for (const part of [...this.#proxies, this.#sidecar]) part.kill();
  }

  #part(name: string, start: () => ChildProcess): Part {
    const { config, logger, startTimeoutMs, silenceMs } = this.#options;
    const part: Part = new Part({
      name,
      start,
      greeting: () => ({ type: "config", config, registryPort: this.#registry?.port ?? null }),
      startTimeoutMs: startTimeoutMs ?? DEFAULT_START_TIMEOUT_MS,
      silenceMs: silenceMs ?? DEFAULT_SILENCE_MS,
      logger,
      onReady: (message) => this.#hearReady(part, message),
      onMessage: (message) => this.#hear(part, message),
      onGivenUp: (why) => this.#options.onGivenUp(name, why),
    });
    return part;
  }

  #forkSidecar(): ChildProcess {
    return fork(this.#options.exec, ["sidecar", ...this.#options.args], { env: childEnvironment(this.#wasReady) });
  }

  #forkProxy(): ChildProcess {
    // Workers share a socket when they ask for the same port, 0 included; once none lives, the port that was taken must be named.
    if (this.#proxies.every((proxy) => proxy.pid === null)) this.#askedPort = this.#port;
    cluster.schedulingPolicy = cluster.SCHED_NONE;
    cluster.setupPrimary({
      execArgv: [...process.execArgv, YOUNG_HEAP],
      exec: this.#options.exec,
      args: ["proxy", ...this.#options.args, "--port", String(this.#askedPort)],
    });
    return cluster.fork(childEnvironment(this.#wasReady)).process;
  }

  #hearReady(part: Part, message: ReadyMessage): void {
    if (part !== this.#sidecar && this.#port === 0) {
      this.#port = portOf(message.address);
      for (const proxy of this.#proxies.slice(1)) proxy.start();
    }
    if (part === this.#sidecar) this.#registry = message.registry ?? null;
    this.#following.delete(part);
    if (this.#wasReady) {
      const which = part === this.#sidecar ? "sidecar" : "proxy";
      this.#onceFollowing([part], () => this.#options.onRestarted(which, this.status));
    } else if (this.#sidecar.isReady && this.#proxies.every((proxy) => proxy.isReady)) {
      this.#wasReady = true;
      this.#onceFollowing(this.#proxies, () => this.#options.onReady(this.status));
    }
  }

  /**
   * Ready is said when a request would find its model: once these proxies have the route table. A sidecar that is away holds nothing up,
   * because proxies serve without it.
   */
  #onceFollowing(parts: readonly Part[], act: () => void): void {
    const untilMs = Date.now() + FOLLOW_WITHIN_MS;
    const check = () => {
      if (this.#stopped !== undefined) return;
      const isKnown = parts.every((part) => part === this.#sidecar || this.#following.has(part));
      if (isKnown || !this.#sidecar.isReady || Date.now() > untilMs) act();
      else setTimeout(check, FOLLOW_CHECK_MS);
    };
    check();
  }

  #hear(part: Part, message: FromChild): void {
    if (message.type === "following") this.#following.add(part);
    else if (message.type === "metrics") this.#metrics.collect(part, message);
    else if (message.type === "metrics-all") {
      void this.#metrics.gather().then((text) => part.send({ type: "metrics-all", id: message.id, text }));
    }
  }
}

function childEnvironment(wasReady: boolean): NodeJS.ProcessEnv {
  const env = { ...process.env, [SUPERVISED_VARIABLE]: "1" };
  // A failure asked for by a test happens once: what is started again must heal.
  return wasReady ? { ...env, SLUICE_FAILPOINTS: undefined } : env;
}

/** The port in what a proxy says of its address: `host:port`, a URL, or Node's own object. */
function portOf(address: ReadyMessage["address"]): number {
  if (typeof address === "object") return address.port;
  const port = Number(/:(\d+)\/?$/.exec(address ?? "")?.[1]);
  if (!Number.isInteger(port)) throw new Error(`a proxy named no port in its address '${address}'`);
  return port;
}
