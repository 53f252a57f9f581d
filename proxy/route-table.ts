/** The proxy's copy of the route table: the sidecar's last snapshot, kept while the sidecar is away. */
import type { Config } from "../config/schema.js";
import { type Alias, PROXY_HEADER, ROUTES_HEARTBEAT_MS, type RouteSnapshot } from "../core/contract/internal-api.js";
import type { ModelEntry } from "../core/contract/models.js";
import type { RouteTable } from "../core/contract/routes.js";
import { sleep } from "../core/runtime/clock.js";
import type { HttpClient } from "../core/runtime/http.js";
import type { Logger } from "../core/runtime/logger.js";

/** A model's entry with what the light path needs of its URL, worked out once per snapshot. */
export interface Route {
  readonly entry: ModelEntry;
  readonly origin: string;
  /** `host:port` */
  readonly upstreamHost: string;
  /** Path the URL ends in, without trailing slash; usually empty. */
  readonly basePath: string;
}

export interface RouteView {
  readonly snapshot: RouteSnapshot;
  /** By name and by address. */
  readonly routes: ReadonlyMap<string, Route>;
  readonly hostAliases: ReadonlyMap<string, string>;
  readonly portAliases: ReadonlyMap<number, string>;
  readonly table: RouteTable;
}

export function viewOf(snapshot: RouteSnapshot): RouteView {
  const routes = new Map<string, Route>();
  // Addresses first: a name always wins over another model's address.
  for (const entry of snapshot.models) if (entry.address !== null) routes.set(entry.address, routeOf(entry));
  for (const entry of snapshot.models) routes.set(entry.name, routeOf(entry));
  const hostAliases = new Map<string, string>();
  const portAliases = new Map<number, string>();
  for (const alias of snapshot.aliases) {
    if (alias.host !== null) hostAliases.set(alias.host.toLowerCase(), alias.model);
    if (alias.port !== null) portAliases.set(alias.port, alias.model);
  }
  return { snapshot, routes, hostAliases, portAliases, table: snapshot.routes };
}

function routeOf(entry: ModelEntry): Route {
  if (entry.url === null) return { entry, origin: "", upstreamHost: "", basePath: "" };
  const url = new URL(entry.url);
  return { entry, origin: url.origin, upstreamHost: url.host, basePath: url.pathname.replace(/\/+$/, "") };
}

/** What is served before the sidecar has spoken: the configured static models as if they were ready. */
function startingSnapshot(config: Config): RouteSnapshot {
  const models = config.discovery.static.map(
    (each): ModelEntry => ({
      name: each.name,
      source: "static",
      state: "ready",
      url: each.url,
      address: null,
      onDemand: false,
      concurrency: each.concurrency ?? config.models.concurrency,
      modelType: null,
      modelUri: null,
      problem: null,
    }),
  );
  return {
    epoch: "",
    version: 0,
    models,
    aliases: config.proxy.aliases as readonly Alias[],
    routes: config.scheduler.routes,
  };
}

export interface RouteTableOptions {
  readonly config: Config;
  readonly client: HttpClient;
  readonly logger: Logger;
  /** By which the sidecar knows this proxy. */
  readonly proxyId: string;
  /** Silence after which the stream counts as dead. Default three heartbeats. */
  readonly silenceMs?: number;
}

const BACKOFF_MS = { first: 100, most: 2_000 };
/** One line of the stream: tens of thousands of models fit. */
const MAX_LINE_CHARACTERS = 64 * 2 ** 20;

export class RouteFollower {
  readonly #options: RouteTableOptions;
  readonly #listeners = new Set<(view: RouteView) => void>();
  readonly #stop = new AbortController();
  #view: RouteView;
  #isConnected = false;
  #running: Promise<void> | undefined;

  constructor(options: RouteTableOptions) {
    this.#options = options;
    this.#view = viewOf(startingSnapshot(options.config));
  }

  get view(): RouteView {
    return this.#view;
  }

  /** True while the sidecar's stream is open and has spoken. */
  get isConnected(): boolean {
    return this.#isConnected;
  }

  onChange(listener: (view: RouteView) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  start(): void {
    this.#running ??= this.#follow();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #follow(): Promise<void> {
    const { signal } = this.#stop;
    let waitMs = BACKOFF_MS.first;
    while (!signal.aborted) {
      const heard = await this.#listen().catch(() => false);
      if (this.#isConnected) {
        this.#isConnected = false;
        if (!signal.aborted)
          this.#options.logger.warn(
            { event: "sidecar-lost" },
            "the sidecar is away; serving from the last route table",
          );
      }
      waitMs = heard ? BACKOFF_MS.first : Math.min(waitMs * 2, BACKOFF_MS.most);
      // Jitter, so that many proxies do not come back at the same moment.
      await sleep(waitMs * (0.5 + Math.random() / 2), signal);
    }
  }

  /** Follows one connection to its end. Resolves true when it brought a snapshot. */
  async #listen(): Promise<boolean> {
    const answer = await this.#options.client.call({
      method: "GET",
      origin: "http://sidecar",
      path: "/internal/routes",
      headers: { [PROXY_HEADER]: this.#options.proxyId },
      headersTimeoutMs: 5_000,
      bodyTimeoutMs: this.#options.silenceMs ?? 3 * ROUTES_HEARTBEAT_MS,
      signal: this.#stop.signal,
    });
    if (answer.status !== 200) {
      await answer.body.dump();
      return false;
    }
    let heard = false;
    let pending = "";
    answer.body.setEncoding("utf8");
    try {
      for await (const text of answer.body) {
        pending += text as string;
        if (pending.length > MAX_LINE_CHARACTERS) throw new Error("a line of the route stream is too long");
        const lines = pending.split("\n");
        pending = lines.pop()!;
        for (const line of lines) heard = this.#take(line) || heard;
      }
    } catch {
      // The stream's end, however it came, is answered by connecting again.
    }
    return heard;
  }

  #take(line: string): boolean {
    if (line.trim() === "") return false;
    const parsed = JSON.parse(line) as Partial<RouteSnapshot>;
    if (!Array.isArray(parsed.models)) return false;
    this.#view = viewOf({ epoch: "", version: 0, aliases: [], routes: {}, ...parsed } as RouteSnapshot);
    if (!this.#isConnected)
      this.#options.logger.info({ event: "sidecar-found" }, "following the sidecar's route table");
    this.#isConnected = true;
    for (const listener of this.#listeners) listener(this.#view);
    return true;
  }
}
