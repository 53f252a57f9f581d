/**
 * A request from its head to the one who answers it. Read {@link App.handle} top to bottom; each step answers, passes on or throws
 * a SluiceError, and what is thrown is answered in one place.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Config } from "../config/schema.js";
import { asSluiceError, SluiceError } from "../core/contract/errors.js";
import { classify, type RouteRule, TASK_TYPES } from "../core/contract/routes.js";
import type { HttpClient } from "../core/runtime/http.js";
import type { Logger } from "../core/runtime/logger.js";
import type { MetricObject } from "../core/runtime/metrics.js";
import { divertTask } from "./admit/divert.js";
import { acquireGate } from "./admit/gate.js";
import type { AdmitContext } from "./context.js";
import { answerError, answerErrorOnSocket } from "./forward/answer-error.js";
import { failureError } from "./forward/failures.js";
import { requestHead } from "./forward/headers.js";
import type { Forwarder } from "./forward/http.js";
import { EarlySocket, type Upgrader } from "./forward/websocket.js";
import { answerHealth, LIVE, metricsAnswer, readiness, sidecarHealth } from "./health.js";
import type { Door } from "./listeners.js";
import type { ProxyMetrics } from "./metrics.js";
import { decideReadiness, ensureReady, notReadyError } from "./on-demand.js";
import { causeCode, methodNotAllowed, sidecarError, unavailable, unknownModel } from "./refusals.js";
import { requestIdOf } from "./request-id.js";
import type { Route, RouteFollower, RouteView } from "./route-table.js";
import {
  type ModelTarget,
  type OwnRoute,
  parseTarget,
  type RequestTarget,
  resolveAlias,
  resolveMain,
  type Target,
  type TaskTarget,
} from "./target.js";
import { checkTrackingId } from "./tracking-id.js";

export interface AppParts {
  readonly config: Config;
  readonly logger: Logger;
  readonly routes: RouteFollower;
  readonly models: Forwarder;
  readonly sidecar: Forwarder;
  readonly upgrader: Upgrader;
  readonly client: HttpClient;
  readonly metrics: ProxyMetrics;
  readonly metricsOfAll?: () => Promise<string>;
  isDraining(): boolean;
}

/** One request, as far as it has been understood. */
interface Visit<Res> {
  readonly req: IncomingMessage;
  /** Null for an upgrade, which is answered on the bare socket. */
  readonly res: Res;
  readonly expectsContinue: boolean;
  readonly requestId: string;
  readonly receivedAtMs: number;
  readonly method: string;
  /** Endpoint template for metrics and logs: from a fixed set. */
  endpoint: string;
  /** A name out of the snapshot, `unknown`, or null where no model is meant. */
  model: string | null;
  path: string;
  isAccounted: boolean;
}

type HttpVisit = Visit<ServerResponse>;

const SIDECAR_ORIGIN = "http://sidecar";

/** Made once: an abort without a reason makes an exception with a stack each time. */
const CLOSED = new SluiceError("CLIENT_GONE", "the connection is closed");

export class App {
  readonly #parts: AppParts;
  readonly #logsRequests: boolean;
  #held = 0;

  constructor(parts: AppParts) {
    this.#parts = parts;
    this.#logsRequests = parts.config.log.level === "debug" || parts.config.log.level === "trace";
  }

  /** One request: id → target → own route | sidecar | task | model. */
  handle(req: IncomingMessage, res: ServerResponse, door: Door, expectsContinue: boolean): void {
    const visit = beginVisit(req, res, expectsContinue);
    if (this.#parts.isDraining()) res.shouldKeepAlive = false;
    try {
      const request = parseRequest(req);
      const target = this.#resolve(visit, request, door.model);
      if (target.to === "model") this.#toModel(visit, request, target);
      else if (target.to === "sidecar") this.#toSidecar(visit, request, target.path);
      else if (target.to === "task") this.#toTask(visit, request, target);
      else this.#toOwn(visit, target.route);
    } catch (caught) {
      this.#refuse(visit, caught);
    }
  }

  /** A WebSocket handshake: the same steps, as far as they apply. */
  handleUpgrade(req: IncomingMessage, socket: Socket, head: Buffer, door: Door): void {
    const visit = beginVisit(req, null, false);
    const client = new EarlySocket(socket, head);
    this.#upgrade(visit, client, door.model).catch((caught: unknown) => {
      const error = asSluiceError(caught);
      this.#account(visit, error.status, error);
      answerErrorOnSocket(socket, error, visit.requestId);
    });
  }

  /** Requests that are answered or waited for here, not (yet) forwarded. */
  get held(): number {
    return this.#held;
  }

  /** What this process has counted. */
  ownMetrics(): MetricObject[] {
    const { metrics, models, upgrader, routes } = this.#parts;
    return metrics.collect({ inFlight: models.inFlight + upgrader.open, isSidecarUp: routes.isConnected });
  }

  // Resolve

  #resolve(visit: Visit<unknown>, request: RequestTarget, portModel: string | null): Target {
    const view = this.#parts.routes.view;
    const alias = portModel ?? hostAlias(view, request.authority ?? visit.req.headers.host);
    const target = alias === null ? resolveMain(visit.method, request) : resolveAlias(alias, request);
    if (target.to === "sidecar") visit.endpoint = target.template;
    else if (target.to === "own") visit.endpoint = target.path;
    else {
      visit.model = view.routes.get(target.name)?.entry.name ?? "unknown";
      if (target.to === "model") visit.path = target.path;
      else visit.endpoint = "/models/*/tasks/*";
    }
    return target;
  }

  // Own routes

  #toOwn(visit: HttpVisit, route: OwnRoute): void {
    const { req, res, requestId } = visit;
    if (visit.method !== "GET" && visit.method !== "HEAD") throw methodNotAllowed("use GET");
    this.#hold(res);
    res.once("close", () => this.#account(visit, res.statusCode, null));
    switch (route) {
      case "livez":
        answerHealth(req, res, LIVE, requestId);
        break;
      case "readyz":
        answerHealth(req, res, readiness(this.#healthState()), requestId);
        break;
      case "health":
        void sidecarHealth(this.#parts.client).then((answer) => answerHealth(req, res, answer, requestId));
        break;
      case "metrics":
        void metricsAnswer({
          own: () => this.ownMetrics(),
          sidecar: this.#parts.client,
          ...(this.#parts.metricsOfAll === undefined ? {} : { all: this.#parts.metricsOfAll }),
        }).then((answer) => answerHealth(req, res, answer, requestId));
        break;
    }
  }

  #healthState() {
    const { routes, isDraining } = this.#parts;
    let readyModels = 0;
    for (const model of routes.view.snapshot.models) if (model.state === "ready") readyModels += 1;
    return { isDraining: isDraining(), isSidecarConnected: routes.isConnected, readyModels };
  }

  // Sidecar

  #toSidecar(visit: HttpVisit, request: RequestTarget, path: string): void {
    const { req, res, requestId } = visit;
    this.#checkBodySize(req);
    const head = requestHead(req.rawHeaders, {
      peer: peerOf(req),
      authority: request.authority,
      prefix: "",
      requestId,
      keep: "all",
    });
    this.#parts.sidecar.forward(req, res, {
      origin: SIDECAR_ORIGIN,
      upstreamHost: "sidecar",
      basePath: "",
      method: visit.method,
      path: path + request.query,
      headers: head.headers,
      host: head.host,
      prefix: "",
      requestId,
      receivedAtMs: visit.receivedAtMs,
      queueMs: 0,
      startBody: () => startBody(visit),
      errorOf: sidecarError,
      done: ({ status, error }) => this.#account(visit, status, error),
    });
  }

  // Tasks, the CMG way

  #toTask(visit: HttpVisit, request: RequestTarget, target: TaskTarget): void {
    const view = this.#parts.routes.view;
    const route = view.routes.get(target.name);
    if (route === undefined) throw unavailable(target.name, view);
    const path = TASK_TYPES[target.task]?.path ?? `/${target.task}`;
    checkTrackingId(path, request.query);
    const classified = classify(view.table, "POST", path);
    const rule: RouteRule = { mode: "queue", class: classified.class };
    const below: ModelTarget = { to: "model", name: target.name, prefix: target.prefix, path, rawPath: path };
    this.#divert(visit, this.#context(visit, request, below, { route, rule, cmgTask: target.task }));
  }

  // Models

  #toModel(visit: HttpVisit, request: RequestTarget, target: ModelTarget): void {
    const view = this.#parts.routes.view;
    const route = view.routes.get(target.name);
    if (route === undefined) throw unknownModel(target, view);
    checkTrackingId(target.path, request.query);
    this.#checkBodySize(visit.req);
    const rule = classify(view.table, visit.method, target.path);
    if (rule.mode === "light") this.#light(visit, request, target, route);
    else {
      const context = this.#context(visit, request, target, { route, rule, cmgTask: null });
      if (rule.mode === "queue") this.#divert(visit, context);
      else this.#gate(visit, request, target, context).catch((caught: unknown) => this.#refuse(visit, caught));
    }
  }

  #light(visit: HttpVisit, request: RequestTarget, target: ModelTarget, route: Route): void {
    if (target.path === "/info") this.#parts.metrics.countTask(route.entry.name, "info");
    if (decideReadiness(route.entry) === "ready") {
      this.#forward(visit, request, target, { route, queueMs: 0 });
      return;
    }
    const gone = this.#hold(visit.res);
    this.#ready(route, gone)
      .then((ready) => this.#forward(visit, request, target, { route: ready, queueMs: 0 }))
      .catch((caught: unknown) => this.#refuse(visit, caught));
  }

  /** The route once its model is ready; starts it where a request may. */
  async #ready(route: Route, gone: AbortSignal): Promise<Route> {
    const readiness = decideReadiness(route.entry);
    if (readiness === "ready") return route;
    if (readiness === "unready") throw notReadyError(route.entry);
    return ensureReady({
      client: this.#parts.client,
      name: route.entry.name,
      waitMs: this.#parts.config.models.deployment.auto.health_check_timeout,
      signal: gone,
    });
  }

  async #gate(visit: HttpVisit, request: RequestTarget, target: ModelTarget, context: AdmitContext): Promise<void> {
    const gone = this.#hold(visit.res);
    const permit = await acquireGate(context);
    if (gone.aborted) {
      permit.release();
      return;
    }
    visit.res.once("close", () => permit.release());
    this.#parts.metrics.observeQueueWait(permit.queueMs);
    const route = this.#parts.routes.view.routes.get(target.name);
    if (route === undefined) throw unknownModel(target, this.#parts.routes.view);
    this.#forward(visit, request, target, { route: await this.#ready(route, gone), queueMs: permit.queueMs });
  }

  #forward(
    visit: HttpVisit,
    request: RequestTarget,
    target: ModelTarget,
    { route, queueMs }: { route: Route; queueMs: number },
  ): void {
    const { req, res, requestId } = visit;
    const { prefix } = target;
    const head = requestHead(req.rawHeaders, {
      peer: peerOf(req),
      authority: request.authority,
      prefix,
      requestId,
      keep: "prefer",
    });
    this.#parts.models.forward(req, res, {
      origin: route.origin,
      upstreamHost: route.upstreamHost,
      basePath: route.basePath,
      method: visit.method,
      path: route.basePath + target.rawPath + request.query,
      headers: head.headers,
      host: head.host,
      prefix,
      requestId,
      receivedAtMs: visit.receivedAtMs,
      queueMs,
      startBody: () => startBody(visit),
      errorOf: (failure) => failureError(failure, `model '${route.entry.name}'`),
      done: ({ status, upstreamMs, endedAtMs, error }) => {
        const tookMs = endedAtMs - visit.receivedAtMs;
        this.#parts.metrics.observe(route.entry.name, tookMs - upstreamMs - queueMs, upstreamMs);
        this.#account(visit, status, error);
      },
    });
  }

  // Heavy

  #context(
    visit: HttpVisit,
    request: RequestTarget,
    target: ModelTarget,
    { route, rule, cmgTask }: { route: Route; rule: RouteRule; cmgTask: string | null },
  ): AdmitContext {
    const { req, res, requestId, receivedAtMs } = visit;
    const { config, logger, client } = this.#parts;
    this.#checkBodySize(req);
    const peer = peerOf(req);
    const { prefix } = target;
    const { headers } = requestHead(req.rawHeaders, {
      peer,
      authority: request.authority,
      prefix,
      requestId,
      keep: rule.mode === "queue" ? "none" : "prefer",
    });
    return {
      req,
      res,
      requestId,
      model: route.entry,
      modelName: target.name,
      prefix,
      rawPath: target.rawPath + request.query,
      path: target.path,
      query: request.query,
      rule,
      receivedAtMs,
      cmgTask,
      headers,
      peer,
      sidecar: client,
      logger,
      config,
      startBody: () => startBody(visit),
    };
  }

  #divert(visit: HttpVisit, context: AdmitContext): void {
    const { res } = visit;
    this.#hold(res);
    res.once("close", () => {
      if (visit.isAccounted) return;
      const status = res.writableFinished ? res.statusCode : 499;
      if (status < 300) this.#parts.metrics.countTask(context.model?.name ?? "unknown", taskName(context));
      this.#account(visit, status, null);
    });
    divertTask(context).catch((caught: unknown) => this.#refuse(visit, caught));
  }

  // Upgrades

  async #upgrade(visit: Visit<null>, client: EarlySocket, portModel: string | null): Promise<void> {
    const { req, requestId } = visit;
    const request = parseRequest(req);
    const target = this.#resolve(visit, request, portModel);
    if (target.to !== "model") throw new SluiceError("NOT_FOUND", "there is no WebSocket at this path");
    const view = this.#parts.routes.view;
    const known = view.routes.get(target.name);
    if (known === undefined) throw unknownModel(target, view);
    const gone = new AbortController();
    client.socket.once("close", () => gone.abort());
    const route = await this.#ready(known, gone.signal);
    const head = requestHead(req.rawHeaders, {
      peer: peerOf(req),
      authority: request.authority,
      prefix: "",
      requestId,
      keep: "none",
    });
    this.#parts.upgrader.upgrade(req, client, {
      origin: route.origin,
      path: route.basePath + target.rawPath + request.query,
      headers: head.headers,
      requestId,
      errorOf: (failure) => failureError(failure, `model '${route.entry.name}'`),
      answered: (status, error) => this.#account(visit, status, error),
    });
  }

  // Refusals and accounts

  /** Counts a request that a drain must wait for; the signal aborts when its connection is done or gone. */
  #hold(res: ServerResponse): AbortSignal {
    const gone = new AbortController();
    this.#held += 1;
    res.once("close", () => {
      this.#held -= 1;
      gone.abort(CLOSED);
    });
    return gone.signal;
  }

  #checkBodySize(req: IncomingMessage): void {
    const { max_body_size: maxBytes } = this.#parts.config.proxy;
    const length = req.headers["content-length"];
    if (length === undefined || Number(length) <= maxBytes) return;
    throw new SluiceError(
      "BODY_TOO_LARGE",
      `the request body of ${length} bytes exceeds ${maxBytes} bytes, the limit of proxy.max_body_size`,
    );
  }

  #refuse(visit: HttpVisit, caught: unknown): void {
    const error = asSluiceError(caught);
    const hasLeft = visit.res.destroyed && !visit.res.headersSent;
    this.#account(visit, hasLeft ? 499 : error.status, error);
    answerError(visit.req, visit.res, error, visit.requestId);
  }

  /** Counts and logs an answered request; the first account of a request is the one that counts. */
  #account(visit: Visit<unknown>, status: number, error: SluiceError | null): void {
    if (visit.isAccounted) return;
    visit.isAccounted = true;
    const { metrics, logger } = this.#parts;
    if (visit.endpoint === "" && visit.model !== null) {
      metrics.countModelRequest(visit.model, visit.path, visit.method, status);
    } else metrics.countRequest(visit.endpoint === "" ? "unmatched" : visit.endpoint, visit.method, status);
    const isOurFault = error !== null && error.status >= 500 && status !== 499;
    if (!isOurFault && !this.#logsRequests) return;
    const fields = {
      requestId: visit.requestId,
      ...(visit.model === null ? {} : { model: visit.model }),
      route: visit.endpoint === "" ? "/models/*" : visit.endpoint,
      status,
      durationMs: Math.round(performance.now() - visit.receivedAtMs),
      ...(error === null ? {} : { code: error.code, cause: causeCode(error) }),
    };
    if (isOurFault) logger.error(fields, "request failed");
    else logger.debug(fields, "request answered");
  }
}

// Pure steps

function beginVisit<Res>(req: IncomingMessage, res: Res, expectsContinue: boolean): Visit<Res> {
  return {
    req,
    res,
    expectsContinue,
    requestId: requestIdOf(req.headers["x-request-id"]),
    receivedAtMs: performance.now(),
    method: req.method ?? "GET",
    endpoint: "",
    model: null,
    path: "",
    isAccounted: false,
  };
}

function parseRequest(req: IncomingMessage): RequestTarget {
  const url = req.url ?? "/";
  if (url === "*") throw methodNotAllowed("there is nothing to ask of the server as a whole");
  if (req.headers.host === undefined && req.httpVersionMinor === 1) {
    throw new SluiceError("BAD_REQUEST", "the request carries no Host header");
  }
  return parseTarget(url);
}

function hostAlias(view: RouteView, host: string | undefined): string | null {
  if (host === undefined || view.hostAliases.size === 0) return null;
  return view.hostAliases.get(host.replace(/:\d*$/, "").toLowerCase()) ?? null;
}

function peerOf(req: IncomingMessage): string {
  return req.socket.remoteAddress ?? "unknown";
}

/** Answers a waiting `Expect: 100-continue` when the body is about to be read, not before. */
function startBody(visit: HttpVisit): void {
  if (visit.expectsContinue && !visit.res.headersSent && !visit.res.destroyed) visit.res.writeContinue();
}

function taskName(context: AdmitContext): string {
  if (context.cmgTask !== null) return Object.hasOwn(TASK_TYPES, context.cmgTask) ? context.cmgTask : "unknown";
  const name = context.path.slice(1);
  return Object.hasOwn(TASK_TYPES, name) ? name : "other";
}
