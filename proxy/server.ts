/** The proxy as one object: its ports, its copy of the route table, its connections, and their orderly end. */
import http from "node:http";
import type { Socket } from "node:net";
import type { Config } from "../config/schema.js";
import { SluiceError } from "../core/contract/errors.js";
import { sleep } from "../core/runtime/clock.js";
import { createHttpClient } from "../core/runtime/http.js";
import { Releasers } from "../core/runtime/lifecycle.js";
import type { Logger } from "../core/runtime/logger.js";
import type { MetricObject } from "../core/runtime/metrics.js";
import { App } from "./app.js";
import { answerErrorOnSocket } from "./forward/answer-error.js";
import { Forwarder } from "./forward/http.js";
import { Upgrader } from "./forward/websocket.js";
import { Ledger } from "./ledger.js";
import { type Door, Listeners } from "./listeners.js";
import { ProxyMetrics } from "./metrics.js";
import { ownMetrics } from "./own-routes.js";
import type { ProxyParts } from "./parts.js";
import { localUrlOf, newProxyId, Presence } from "./presence.js";
import { RouteFollower, type RouteView } from "./route-table.js";

export interface ProxyOptions {
  readonly config: Config;
  readonly logger: Logger;
  /** The sidecar's Unix socket. */
  readonly socketPath: string;
  readonly listen: { readonly host: string; readonly port: number };
  /** The supervisor's sum over all processes; without it `/metrics` shows this process and the sidecar. */
  readonly metricsOfAll?: () => Promise<string>;
  /** Silence on the route stream after which it is opened anew. Default three heartbeats. */
  readonly routeSilenceMs?: number;
}

export interface Proxy {
  readonly address: { readonly host: string; readonly port: number };
  readonly isDraining: boolean;
  /** Requests and sockets being forwarded right now. */
  readonly inFlight: number;
  /** The ports of open aliases by model. */
  readonly aliasPorts: ReadonlyMap<string, number>;
  metrics(): MetricObject[];
  /** Resolves when the sidecar's first route table has come. */
  whenFollowing(): Promise<void>;
  /** Fails readiness, stops accepting, ends event streams and sockets, lets the rest finish until then, cuts what is left. */
  stop(deadlineMs: number): Promise<void>;
}

/** Event streams and long polls of the sidecar may be silent this long. */
const SIDECAR_PATIENCE_MS = 3_600_000;

export async function createProxy(options: ProxyOptions): Promise<Proxy> {
  const { config, socketPath } = options;
  const logger = options.logger.child("proxy");
  const { timeouts, max_body_size: maxBodyBytes } = config.proxy;
  const releasers = new Releasers();
  let isDraining = false;

  const client = createHttpClient({ socketPath });
  releasers.push("the client of the sidecar", () => client.close());
  const proxyId = newProxyId();
  const routes = new RouteFollower({
    config,
    client,
    logger,
    proxyId,
    ...(options.routeSilenceMs === undefined ? {} : { silenceMs: options.routeSilenceMs }),
  });
  let localUrl = "";
  const presence = new Presence({ id: proxyId, localUrl: () => localUrl, routes, client });
  // After everything that can have something in flight.
  releasers.push("presence", () => presence.stop());
  const limits = { connectTimeoutMs: timeouts.connect, responseTimeoutMs: timeouts.response };
  const models = new Forwarder({ ...limits, idleTimeoutMs: timeouts.idle, maxBodyBytes });
  releasers.push("connections to model servers", () => models.destroy());
  const sidecar = new Forwarder({
    connectTimeoutMs: timeouts.connect,
    responseTimeoutMs: SIDECAR_PATIENCE_MS,
    idleTimeoutMs: SIDECAR_PATIENCE_MS,
    maxBodyBytes,
    socketPath,
  });
  releasers.push("connections to the sidecar", () => sidecar.destroy());
  const upgrader = new Upgrader(limits);
  releasers.push("sockets", () => upgrader.destroy());
  const metrics = new ProxyMetrics();
  const ledger = new Ledger({ level: config.log.level, logger, metrics });
  const parts: ProxyParts = {
    config,
    logger,
    routes,
    presence,
    models,
    sidecar,
    upgrader,
    client,
    metrics,
    ledger,
    ...(options.metricsOfAll === undefined ? {} : { metricsOfAll: options.metricsOfAll }),
    isDraining: () => isDraining,
  };
  const app = new App(parts);

  const listeners = new Listeners({
    host: options.listen.host,
    logger,
    create: (door) => createServer(app, config, door),
  });
  const inFlight = () => models.inFlight + sidecar.inFlight + upgrader.open + ledger.held;
  const address = await listeners.open(options.listen.port);
  localUrl = localUrlOf(address);
  releasers.push("ports", () => listeners.destroy());
  const follow = (view: RouteView) => {
    retain(view, models, metrics);
    listeners.follow(view.portAliases);
  };
  await listeners.follow(routes.view.portAliases);
  releasers.push("the route table", () => routes.stop());
  routes.onChange(follow);
  routes.start();

  async function drain(deadlineMs: number): Promise<void> {
    isDraining = true;
    listeners.stopAccepting();
    models.endEventStreams();
    sidecar.endEventStreams();
    upgrader.endAll();
    while (inFlight() > 0 && Date.now() < deadlineMs) {
      listeners.closeIdle();
      await sleep(20);
    }
  }
  releasers.push("requests in flight", drain);

  return {
    address,
    get isDraining() {
      return isDraining;
    },
    get inFlight() {
      return inFlight();
    },
    get aliasPorts() {
      return listeners.aliasPorts;
    },
    metrics: () => ownMetrics(parts),
    whenFollowing: () =>
      new Promise((resolve) => {
        if (routes.isConnected) return resolve();
        const forget = routes.onChange(() => {
          forget();
          resolve();
        });
      }),
    stop: (deadlineMs) => releasers.stop(deadlineMs),
  };
}

/** Forgets what belonged to models that are gone. */
function retain(view: RouteView, models: Forwarder, metrics: ProxyMetrics): void {
  models.retain(new Set([...view.routes.values()].map((route) => route.origin)));
  metrics.retain(new Set(view.snapshot.models.map((model) => model.name)));
}

const MAX_HEADER_BYTES = 16 * 1024;
const KEEP_ALIVE_MS = 65_000;

function createServer(app: App, config: Config, door: Door): http.Server {
  const { headers: headersTimeout } = config.proxy.timeouts;
  const server = http.createServer({
    maxHeaderSize: MAX_HEADER_BYTES,
    headersTimeout,
    // Bodies may stream for hours; silence in them is watched where they are read.
    requestTimeout: 0,
    keepAliveTimeout: KEEP_ALIVE_MS,
    connectionsCheckingInterval: Math.min(Math.max(headersTimeout / 4, 50), 5_000),
    // Checked by us, so that its absence is answered in our own words.
    requireHostHeader: false,
    insecureHTTPParser: false,
    noDelay: true,
  });
  // Their bytes are bounded; dropping the 2,001st silently would change a request.
  server.maxHeadersCount = 0;
  server.on("request", (req, res) => app.handle(req, res, door, false));
  server.on("checkContinue", (req, res) => app.handle(req, res, door, true));
  server.on("upgrade", (req, socket: Socket, head) => {
    if (req.headers.upgrade?.toLowerCase() === "websocket" && req.method === "GET") {
      app.handleUpgrade(req, socket, head, door);
    } else asPlainRequest(server, req, socket, head);
  });
  server.on("connect", (_req, socket: Socket) => {
    socket.on("error", () => socket.destroy());
    answerErrorOnSocket(socket, new SluiceError("METHOD_NOT_ALLOWED", "CONNECT is not served here"), "-");
  });
  server.on("clientError", (error: NodeJS.ErrnoException, socket: Socket) => answerClientError(error, socket));
  return server;
}

/** An offer to speak another protocol (Java's client offers h2c on every request) may be passed over: the request counts without it. */
function asPlainRequest(server: http.Server, req: http.IncomingMessage, socket: Socket, head: Buffer): void {
  let block = `${req.method} ${req.url} HTTP/${req.httpVersion}\r\n`;
  for (let index = 0; index < req.rawHeaders.length; index += 2) {
    const name = req.rawHeaders[index]!;
    if (!/^(?:upgrade|http2-settings|connection)$/i.test(name)) block += `${name}: ${req.rawHeaders[index + 1]}\r\n`;
  }
  socket.unshift(Buffer.concat([Buffer.from(`${block}\r\n`, "latin1"), head]));
  server.emit("connection", socket);
}

/** Connections that got such an answer: what else they send is read and forgotten. */
const refused = new WeakSet<Socket>();

/** What node's parser refuses gets our envelope too, unless another answer is already on its way. */
function answerClientError(error: NodeJS.ErrnoException, socket: Socket): void {
  if (refused.has(socket)) return;
  const { _httpMessage: answering } = socket as { _httpMessage?: http.ServerResponse | null };
  if (error.code === "ECONNRESET" || !socket.writable) {
    socket.destroy();
    return;
  }
  if (answering?.headersSent === true) {
    // A refusal of ours is whole by now and must still be read; any other answer is cut, and its framing shows that.
    socket.destroySoon();
    return;
  }
  refused.add(socket);
  answerErrorOnSocket(socket, clientError(error.code ?? "", answering !== undefined && answering !== null), "-");
}

function clientError(code: string, isInBody: boolean): SluiceError {
  switch (code) {
    case "HPE_HEADER_OVERFLOW":
      return new SluiceError("HEADERS_TOO_LARGE", `the request's headers exceed ${MAX_HEADER_BYTES} bytes`);
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return new SluiceError("HEADER_TIMEOUT", "the request's headers did not arrive in time (proxy.timeouts.headers)");
    case "HPE_INVALID_EOF_STATE":
      if (isInBody) return new SluiceError("BODY_CUT_SHORT", "the request ended before its body was whole");
      return new SluiceError("BAD_REQUEST", "the request ended before its headers were whole");
    default:
      return new SluiceError("BAD_REQUEST", `the request is not valid HTTP${code === "" ? "" : ` (${code})`}`);
  }
}
