/**
 * A request from its head to the one who answers it. Read {@link App.handle} top to bottom; each step answers, passes on or throws
 * a SluiceError, and what is thrown is answered in one place (`ledger.ts`). Light steps are in `light.ts`, heavy ones in `heavy.ts`.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { asSluiceError, SluiceError } from "../core/contract/errors.js";
import { classify } from "../core/contract/routes.js";
import { answerErrorOnSocket } from "./forward/answer-error.js";
import { EarlySocket } from "./forward/websocket.js";
import { admit, queueTask } from "./heavy.js";
import { forwardToSidecar, passThrough } from "./light.js";
import type { Door } from "./listeners.js";
import { answerOwn } from "./own-routes.js";
import type { ProxyParts } from "./parts.js";
import { unknownModel } from "./refusals.js";
import type { Route, RouteView } from "./route-table.js";
import { type ModelTarget, type RequestTarget, resolveAlias, resolveMain, type Target } from "./target.js";
import { checkTrackingId } from "./tracking-id.js";
import { upgrade } from "./upgrade.js";
import { beginVisit, checkBodySize, type HttpVisit, parseRequest, type Visit } from "./visit.js";

export class App {
  readonly #parts: ProxyParts;

  constructor(parts: ProxyParts) {
    this.#parts = parts;
  }

  /** One request: id → target → own route | sidecar | task | model. */
  handle(req: IncomingMessage, res: ServerResponse, door: Door, expectsContinue: boolean): void {
    const visit = beginVisit(req, res, expectsContinue);
    if (this.#parts.isDraining()) res.shouldKeepAlive = false;
    try {
      const request = parseRequest(req);
      const target = this.#resolve(visit, request, door.model);
      if (target.to === "model") this.#toModel(visit, request, target);
      else if (target.to === "sidecar") forwardToSidecar(this.#parts, visit, request, target);
      else if (target.to === "task") queueTask(this.#parts, visit, request, target);
      else answerOwn(this.#parts, visit, target.route);
    } catch (caught) {
      this.#parts.ledger.refuse(visit, caught);
    }
  }

  /** A WebSocket handshake: the same steps, as far as they apply. */
  handleUpgrade(req: IncomingMessage, socket: Socket, head: Buffer, door: Door): void {
    const visit = beginVisit(req, null, false);
    const client = new EarlySocket(socket, head);
    this.#upgrade(visit, client, door.model).catch((caught: unknown) => {
      const error = asSluiceError(caught);
      this.#parts.ledger.account(visit, error.status, error);
      answerErrorOnSocket(socket, error, visit.requestId);
    });
  }

  #toModel(visit: HttpVisit, request: RequestTarget, target: ModelTarget): void {
    const route = this.#known(target);
    checkTrackingId(target.path, request.query);
    checkBodySize(visit.req, this.#parts.config.proxy.max_body_size);
    const rule = classify(this.#parts.routes.view.table, visit.method, target.path);
    if (rule.mode === "light") passThrough(this.#parts, visit, { request, target, route });
    else admit(this.#parts, visit, { request, target, route }, rule);
  }

  async #upgrade(visit: Visit<null>, client: EarlySocket, portModel: string | null): Promise<void> {
    const request = parseRequest(visit.req);
    const target = this.#resolve(visit, request, portModel);
    if (target.to !== "model") throw new SluiceError("NOT_FOUND", "there is no WebSocket at this path");
    await upgrade(this.#parts, { visit, client }, { request, target, route: this.#known(target) });
  }

  #resolve(visit: Visit<unknown>, request: RequestTarget, portModel: string | null): Target {
    const { view } = this.#parts.routes;
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

  /** @throws MODEL_UNKNOWN, MODEL_UNAVAILABLE, SIDECAR_UNAVAILABLE */
  #known(target: ModelTarget): Route {
    const { view } = this.#parts.routes;
    const route = view.routes.get(target.name);
    if (route === undefined) throw unknownModel(target, view);
    return route;
  }
}

function hostAlias(view: RouteView, host: string | undefined): string | null {
  if (host === undefined || view.hostAliases.size === 0) return null;
  return view.hostAliases.get(host.replace(/:\d*$/, "").toLowerCase()) ?? null;
}
