/** The heavy steps: written down by the sidecar and answered from there, or let straight through once a permit is granted. */
import { classify, type RouteRule, TASK_TYPES } from "../core/contract/routes.js";
import { divertTask } from "./admit/divert.js";
import { acquireGate } from "./admit/gate.js";
import type { AdmitContext } from "./context.js";
import { requestHead } from "./forward/headers.js";
import { forwardToModel, type ModelRequest, readyRoute } from "./light.js";
import type { ProxyParts } from "./parts.js";
import { unavailable, unknownModel } from "./refusals.js";
import type { ModelTarget, RequestTarget, TaskTarget } from "./target.js";
import { checkTrackingId } from "./tracking-id.js";
import { checkBodySize, type HttpVisit, peerOf, startBody } from "./visit.js";

/** `POST /models/<name>/tasks/<task>`, the CMG way: always queued. */
export function queueTask(parts: ProxyParts, visit: HttpVisit, request: RequestTarget, target: TaskTarget): void {
  const { view } = parts.routes;
  const route = view.routes.get(target.name);
  if (route === undefined) throw unavailable(target.name, view);
  const path = TASK_TYPES[target.task]?.path ?? `/${target.task}`;
  checkTrackingId(path, request.query);
  const rule: RouteRule = { mode: "queue", class: classify(view.table, "POST", path).class };
  const below: ModelTarget = { to: "model", name: target.name, prefix: target.prefix, path, rawPath: path };
  queue(parts, visit, contextOf(parts, visit, { request, target: below, route }, { rule, cmgTask: target.task }));
}

/** A heavy request in the model server's own shape. */
export function admit(parts: ProxyParts, visit: HttpVisit, asked: ModelRequest, rule: RouteRule): void {
  const context = contextOf(parts, visit, asked, { rule, cmgTask: null });
  if (rule.mode === "queue") queue(parts, visit, context);
  else gate(parts, visit, asked, context).catch((caught: unknown) => parts.ledger.refuse(visit, caught));
}

function queue({ ledger, metrics }: ProxyParts, visit: HttpVisit, context: AdmitContext): void {
  const { res } = visit;
  ledger.hold(res);
  res.once("close", () => {
    if (visit.isAccounted) return;
    const status = res.writableFinished ? res.statusCode : 499;
    if (status < 300) metrics.countTask(context.model?.name ?? "unknown", taskName(context));
    ledger.account(visit, status, null);
  });
  divertTask(context).catch((caught: unknown) => ledger.refuse(visit, caught));
}

async function gate(parts: ProxyParts, visit: HttpVisit, asked: ModelRequest, context: AdmitContext): Promise<void> {
  const { target } = asked;
  const gone = parts.ledger.hold(visit.res);
  const permit = await acquireGate(context);
  if (gone.aborted) {
    permit.release();
    throw gone.reason;
  }
  visit.res.once("close", () => permit.release());
  parts.metrics.observeQueueWait(permit.queueMs);
  const { view } = parts.routes;
  const route = view.routes.get(target.name);
  if (route === undefined) throw unknownModel(target, view);
  forwardToModel(parts, visit, { ...asked, route: await readyRoute(parts, route, gone) }, permit.queueMs);
}

function contextOf(
  parts: ProxyParts,
  visit: HttpVisit,
  { request, target, route }: ModelRequest,
  { rule, cmgTask }: { rule: RouteRule; cmgTask: string | null },
): AdmitContext {
  const { req, res, requestId, receivedAtMs } = visit;
  const { config, logger, client } = parts;
  checkBodySize(req, config.proxy.max_body_size);
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

/** For a metric: from a fixed set. */
function taskName(context: AdmitContext): string {
  if (context.cmgTask !== null) return Object.hasOwn(TASK_TYPES, context.cmgTask) ? context.cmgTask : "unknown";
  const name = context.path.slice(1);
  return Object.hasOwn(TASK_TYPES, name) ? name : "other";
}
