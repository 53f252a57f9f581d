/**
 * The light path: one request to one server and its answer back, streaming both ways. The only importer of undici in the proxy.
 * Raw flat header arrays in and out; no body is parsed or collected.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { buildConnector, Pool } from "undici";
import { Exchange, type ExchangeOptions } from "./exchange.js";

export interface ForwarderOptions {
  readonly connectTimeoutMs: number;
  /** From the request's end to the answer's first byte. */
  readonly responseTimeoutMs: number;
  /** Silence inside a body, either way. */
  readonly idleTimeoutMs: number;
  readonly maxBodyBytes: number;
  /** Every origin is spoken to over this Unix socket. */
  readonly socketPath?: string;
}

/** CMS closes idle connections after 5 s; ours must be gone before, or a request meets a closed one. */
const KEEP_ALIVE_MS = 4_000;
/** Per origin; beyond it requests wait for a connection. */
const MAX_CONNECTIONS = 512;

/** Errors of connections that had carried an answer before: a request that met one may be repeated when nothing of an answer came. */
const errorsOfUsedConnections = new WeakSet<object>();

export class Forwarder {
  readonly #options: ForwarderOptions;
  readonly #pools = new Map<string, Pool>();
  readonly #exchanges = new Set<Exchange>();
  readonly #sweep: NodeJS.Timeout;

  constructor(options: ForwarderOptions) {
    this.#options = options;
    this.#sweep = setInterval(() => this.#endStalled(), Math.min(Math.max(options.idleTimeoutMs / 10, 20), 5_000));
    this.#sweep.unref();
  }

  get inFlight(): number {
    return this.#exchanges.size;
  }

  /** Forwards one request. Never throws: what goes wrong is answered or cuts the answer, and `options.done` hears of it. */
  forward(req: IncomingMessage, res: ServerResponse, options: ExchangeOptions): void {
    const pool = this.#pool(options.origin);
    const exchange = new Exchange(req, res, options, {
      maxBodyBytes: this.#options.maxBodyBytes,
      dispatch: (request, handler) => void pool.dispatch({ ...request, ...this.#limits() }, handler),
      isFromUsedConnection: (error) =>
        typeof error === "object" && error !== null && errorsOfUsedConnections.has(error),
      closed: (each) => void this.#exchanges.delete(each),
    });
    this.#exchanges.add(exchange);
    exchange.start();
  }

  /** Closes the pools of servers that are gone; what is in flight on them ends first. */
  retain(origins: ReadonlySet<string>): void {
    for (const [origin, pool] of this.#pools) {
      if (origins.has(origin)) continue;
      this.#pools.delete(origin);
      pool.close().catch(() => {});
    }
  }

  /** Ends answers that have no end of their own (event streams), so that a drain need not wait for them. */
  endEventStreams(): void {
    for (const exchange of this.#exchanges) exchange.endEventStream();
  }

  /** Cuts whatever is left. */
  async destroy(): Promise<void> {
    clearInterval(this.#sweep);
    for (const exchange of this.#exchanges) exchange.cut();
    await Promise.all([...this.#pools.values()].map((pool) => pool.destroy()));
    this.#pools.clear();
  }

  #limits() {
    // Silence inside bodies is ours to watch: undici does not watch a client that sends or reads nothing.
    return { headersTimeout: this.#options.responseTimeoutMs, bodyTimeout: 0 };
  }

  #pool(origin: string): Pool {
    const known = this.#pools.get(origin);
    if (known !== undefined) return known;
    const pool = new Pool(origin, {
      connect: this.#connector(),
      connections: MAX_CONNECTIONS,
      pipelining: 1,
      keepAliveTimeout: KEEP_ALIVE_MS,
      keepAliveMaxTimeout: KEEP_ALIVE_MS,
      maxHeaderSize: 64 * 1024,
    });
    this.#pools.set(origin, pool);
    return pool;
  }

  #connector(): buildConnector.connector {
    const { socketPath, connectTimeoutMs } = this.#options;
    const connect = buildConnector({
      timeout: connectTimeoutMs,
      ...(socketPath === undefined ? {} : { socketPath }),
    });
    return (options, callback) => {
      connect(options, (...result: Parameters<buildConnector.Callback>) => {
        const socket = result[1];
        socket?.once("error", (error) => {
          if (socket.bytesRead > 0) errorsOfUsedConnections.add(error);
        });
        callback(...result);
      });
    };
  }

  #endStalled(): void {
    const before = performance.now() - this.#options.idleTimeoutMs;
    for (const exchange of this.#exchanges) exchange.endIfStalled(before);
  }
}
