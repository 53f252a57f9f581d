/** Whether a model can take a request now, and the wait for one that has to start first. */
import { ERRORS, type ErrorCode, SluiceError } from "../core/contract/errors.js";
import { decodeTableVersion, TABLE_VERSION_HEADER, type TableVersion } from "../core/contract/internal-api.js";
import type { ModelEntry } from "../core/contract/models.js";
import type { HttpClient } from "../core/runtime/http.js";
import { type Route, viewOf } from "./route-table.js";

export type Readiness = "ready" | "startable" | "unready";

export function decideReadiness(entry: ModelEntry): Readiness {
  if (entry.state === "ready" && entry.url !== null) return "ready";
  return entry.onDemand ? "startable" : "unready";
}

const RETRY_AFTER_MS = 5_000;

export function notReadyError(entry: ModelEntry): SluiceError {
  const why = entry.problem === null ? "" : `: ${entry.problem}`;
  return new SluiceError("MODEL_NOT_READY", `model '${entry.name}' is ${entry.state}${why}`, {
    retryAfterMs: RETRY_AFTER_MS,
  });
}

export interface EnsureOptions {
  readonly client: HttpClient;
  readonly name: string;
  /** Bound of the start, `models.deployment.auto.health_check_timeout`. */
  readonly waitMs: number;
  /** Aborts when the client leaves. */
  readonly signal: AbortSignal;
}

export interface Ensured {
  readonly ready: Route;
  /** By which table the model is ready; null when the sidecar did not say. */
  readonly table: TableVersion | null;
}

/**
 * True when an answer of the sidecar is older than the route table we act on: what it says may have been taken back.
 * @param asked our table when it was asked
 * @param now our table when it has answered
 */
export function isOutdated(answer: TableVersion | null, asked: TableVersion, now: TableVersion): boolean {
  if (answer === null) return false;
  if (answer.epoch === now.epoch) return answer.version < now.version;
  // Of another sidecar: a newer one than ours, unless ours has been replaced meanwhile.
  return asked.epoch !== now.epoch;
}

/**
 * Asks the sidecar to have a model ready. One start serves all who wait.
 * @throws what the sidecar says (MODEL_UNKNOWN, MODEL_NOT_READY, MODEL_START_FAILED), or SIDECAR_UNAVAILABLE
 */
export async function ensureReady(options: EnsureOptions): Promise<Ensured> {
  const { client, name, waitMs, signal } = options;
  let status: number;
  let body: unknown;
  let table: TableVersion | null;
  let retryAfterMs = RETRY_AFTER_MS;
  try {
    const answer = await client.call({
      method: "POST",
      origin: "http://sidecar",
      path: `/internal/models/${encodeURIComponent(name)}/ensure?wait_ms=${waitMs}`,
      // The sidecar keeps the bound; this one is only for a sidecar that hangs.
      headersTimeoutMs: waitMs + 10_000,
      signal,
    });
    status = answer.status;
    table = decodeTableVersion(answer.headers[TABLE_VERSION_HEADER]);
    retryAfterMs = Number(answer.headers["retry-after"] ?? RETRY_AFTER_MS / 1_000) * 1_000;
    body = await answer.body.json();
  } catch (cause) {
    if (signal.aborted) throw new SluiceError("CLIENT_GONE", "the client closed the connection", { cause });
    throw new SluiceError("SIDECAR_UNAVAILABLE", `model '${name}' is not running and nobody is there to start it`, {
      cause,
      retryAfterMs: 2_000,
    });
  }
  if (status !== 200) throw relayedError(body, name, retryAfterMs);
  const entry = body as ModelEntry;
  const route = viewOf({ epoch: "", version: 0, models: [entry], aliases: [], routes: {} }).routes.get(entry.name);
  if (route === undefined || decideReadiness(entry) !== "ready") throw notReadyError(entry);
  return { ready: route, table };
}

/** The sidecar's own error, code and words. */
function relayedError(body: unknown, name: string, retryAfterMs: number): SluiceError {
  const { code, message, hint } = (body as { error?: { code?: string; message?: string; hint?: string } }).error ?? {};
  if (code === undefined || !(code in ERRORS)) {
    return new SluiceError("MODEL_NOT_READY", `model '${name}' is not ready`, { retryAfterMs });
  }
  return new SluiceError(code as ErrorCode, message ?? `model '${name}' is not ready`, {
    ...(hint === undefined ? {} : { hint }),
    ...(ERRORS[code as ErrorCode].status === 503 ? { retryAfterMs } : {}),
  });
}
