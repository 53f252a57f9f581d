/**
 * The light path: one request to one server and its answer back, streaming both ways. The only importer of undici in the proxy.
 * Raw flat header arrays in and out; no body is parsed or collected.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { buildConnector, Pool } from "undici";
import { Exchange, type ExchangeHost, type ExchangeOptions, type UpstreamRequest } from "./exchange.js";
import { Roster } from "./roster.js";

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
/** Of an answer; CMS's are far below. */
const MAX_HEAD_BYTES = 64 * 1024;

/** Errors of connections that had carried an answer before: a request that met one may be repeated when nothing of an answer came. */
const errorsOfUsedConnections = new WeakSet<object>();

export class Forwarder {
  readonly #options: ForwarderOptions;
  readonly #servers = new Map<string, Server>();
  readonly #exchanges = new Roster<Exchange>();
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
    let server = this.#servers.get(options.origin);
    if (server === undefined) {
      server = new Server(options.origin, this.#options, this.#exchanges);
      this.#servers.set(options.origin, server);
    }
    const exchange = new Exchange(req, res, options, server);
    exchange.place = this.#exchanges.enter(exchange);
    exchange.start();
  }

  /** Closes the pools of servers that are gone; what is in flight on them ends first. */
  retain(origins: ReadonlySet<string>): void {
    for (const [origin, server] of this.#servers) {
      if (origins.has(origin)) continue;
      this.#servers.delete(origin);
      server.close().catch(() => {});
    }
  }

  /** Ends answers that have no end of their own (event streams), so that a drain need not wait for them. */
  endEventStreams(): void {
    this.#exchanges.forEach((exchange) => {
      exchange.endEventStream();
    });
  }

  /** Cuts whatever is left. */
  async destroy(): Promise<void> {
    clearInterval(this.#sweep);
    this.#exchanges.forEach((exchange) => {
      exchange.cut();
    });
    await Promise.all([...this.#servers.values()].map((server) => server.destroy()));
    this.#servers.clear();
  }

  #endStalled(): void {
    const before = performance.now() - this.#options.idleTimeoutMs;
    this.#exchanges.forEach((exchange) => {
      exchange.endIfStalled(before);
    });
  }
}

/** One server's connections. */
class Server implements ExchangeHost {
  readonly maxBodyBytes: number;
  readonly #pool: Pool;
  readonly #exchanges: Roster<Exchange>;

  constructor(origin: string, options: ForwarderOptions, exchanges: Roster<Exchange>) {
    this.maxBodyBytes = options.maxBodyBytes;
    this.#exchanges = exchanges;
    this.#pool = new Pool(origin, {
      connect: connectorOf(options),
      // Callers that wait for tasks hold a connection each to the sidecar, which bounds them itself; they must not keep others out.
      connections: options.socketPath === undefined ? MAX_CONNECTIONS : null,
      pipelining: 1,
      keepAliveTimeout: KEEP_ALIVE_MS,
      keepAliveMaxTimeout: KEEP_ALIVE_MS,
      maxHeaderSize: MAX_HEAD_BYTES,
      headersTimeout: options.responseTimeoutMs,
      // Silence inside bodies is ours to watch: undici does not watch a client that sends or reads nothing. Its own bound stands
      // behind ours; equal to the one above, as by default, it also spares undici a new timer for every answer.
      bodyTimeout: Math.max(options.idleTimeoutMs, options.responseTimeoutMs),
    });
  }

  dispatch(request: UpstreamRequest, handler: Exchange): void {
    // A stream that answers now and then may be silent for as long as its request moves.
    if (request.isStream) this.#pool.dispatch({ ...request, bodyTimeout: 0 }, handler);
    else this.#pool.dispatch(request, handler);
  }

  isFromUsedConnection(error: unknown): boolean {
    return typeof error === "object" && error !== null && errorsOfUsedConnections.has(error);
  }

  closed(exchange: Exchange): void {
    this.#exchanges.leave(exchange.place);
  }

  close(): Promise<void> {
    return this.#pool.close();
  }

  destroy(): Promise<void> {
    return this.#pool.destroy();
  }
}

function connectorOf({ socketPath, connectTimeoutMs }: ForwarderOptions): buildConnector.connector {
  const connect = buildConnector({ timeout: connectTimeoutMs, ...(socketPath === undefined ? {} : { socketPath }) });
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
