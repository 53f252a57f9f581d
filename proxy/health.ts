/** Liveness, readiness and metrics: answered here, whatever state the sidecar is in. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { HttpClient } from "../core/runtime/http.js";
import { aggregateMetrics, METRICS_CONTENT_TYPE, type MetricObject } from "../core/runtime/metrics.js";

/** Bound on asking anybody for their metrics; a scrape gets ours alone after that. */
const SUPERVISOR_MS = 1_500;
const SIDECAR_MS = 1_000;

export interface HealthState {
  readonly isDraining: boolean;
  readonly isSidecarConnected: boolean;
  readonly readyModels: number;
}

export interface HealthAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

export const LIVE: HealthAnswer = { status: 200, contentType: "text/plain; charset=utf-8", body: "ok" };

/** Ready with the sidecar away, or with parts of it down: light requests flow, heavy ones wait or are refused with a reason. */
export function readiness(state: HealthState, parts: Readonly<Record<string, string>> = {}): HealthAnswer {
  const components = {
    ...parts,
    proxy: state.isDraining ? "draining" : "healthy",
    sidecar: state.isSidecarConnected ? (parts.sidecar ?? "healthy") : "unavailable",
  };
  const isWhole = Object.values(components).every((each) => each === "healthy");
  const body = {
    status: state.isDraining ? "draining" : isWhole ? "ready" : "degraded",
    components,
    models: { ready: state.readyModels },
  };
  return json(state.isDraining ? 503 : 200, body);
}

/** {@link readiness} with the sidecar's own parts by name, as far as it can tell them within a second. */
export async function readinessOfAll(state: HealthState, sidecar: HttpClient): Promise<HealthAnswer> {
  if (state.isDraining || !state.isSidecarConnected) return readiness(state);
  const { body } = await sidecarHealth(sidecar);
  return readiness(state, componentsIn(body));
}

type Components = Record<string, string>;

/** From a healthy answer or from bad news; none when it is neither. */
function componentsIn(text: string): Components {
  try {
    const body = JSON.parse(text) as { components?: Components; detail?: { components?: Components } };
    return body.components ?? body.detail?.components ?? {};
  } catch {
    return {};
  }
}

/** The sidecar's own `/health`, or CMG's shape of bad news when it cannot tell. Never fails, never takes longer than a second. */
export async function sidecarHealth(sidecar: HttpClient): Promise<HealthAnswer> {
  try {
    const answer = await sidecar.call({
      method: "GET",
      origin: "http://sidecar",
      path: "/health",
      signal: AbortSignal.timeout(SIDECAR_MS),
    });
    return { status: answer.status, contentType: "application/json", body: await answer.body.text() };
  } catch {
    return unhealthy();
  }
}

function unhealthy(): HealthAnswer {
  return json(503, { detail: { status: "unhealthy", components: { proxy: "healthy", sidecar: "unavailable" } } });
}

function json(status: number, body: unknown): HealthAnswer {
  return { status, contentType: "application/json", body: JSON.stringify(body) };
}

export function answerHealth(req: IncomingMessage, res: ServerResponse, answer: HealthAnswer, requestId: string): void {
  res.writeHead(answer.status, [
    "content-type",
    answer.contentType,
    "content-length",
    String(Buffer.byteLength(answer.body)),
    "cache-control",
    "no-store",
    "x-request-id",
    requestId,
  ]);
  res.end(req.method === "HEAD" ? undefined : answer.body);
}

export interface MetricsSources {
  own(): MetricObject[];
  /** The supervisor's sum over every process; absent when nobody supervises. */
  readonly all?: () => Promise<string>;
  readonly sidecar: HttpClient;
}

/** One text for all processes; fewer when they do not answer in time. Never fails. */
export async function metricsAnswer(sources: MetricsSources): Promise<HealthAnswer> {
  const body = (await textOfAll(sources)) ?? (await ownText(sources));
  return { status: 200, contentType: METRICS_CONTENT_TYPE, body };
}

async function textOfAll(sources: MetricsSources): Promise<string | null> {
  if (sources.all === undefined) return null;
  return withBound(sources.all(), SUPERVISOR_MS);
}

async function ownText(sources: MetricsSources): Promise<string> {
  const own = await aggregateMetrics([sources.own()]);
  if (sources.all !== undefined) return own;
  const sidecar = await withBound(sidecarText(sources.sidecar), SIDECAR_MS);
  return sidecar === null ? own : `${own.trimEnd()}\n${sidecar}`;
}

async function sidecarText(sidecar: HttpClient): Promise<string> {
  const answer = await sidecar.call({
    method: "GET",
    origin: "http://sidecar",
    path: "/internal/metrics",
    signal: AbortSignal.timeout(SIDECAR_MS),
  });
  const text = await answer.body.text();
  if (answer.status !== 200) throw new Error(`the sidecar answered ${answer.status}`);
  return text;
}

/** Null when it failed or took longer. */
async function withBound(promise: Promise<string>, ms: number): Promise<string | null> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), ms);
  });
  try {
    return await Promise.race([promise.catch(() => null), late]);
  } finally {
    clearTimeout(timer);
  }
}
