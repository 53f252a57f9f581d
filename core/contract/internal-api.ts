/**
 * What proxies and the sidecar say to each other, over HTTP on the sidecar's Unix socket.
 *
 * | call | answer |
 * | --- | --- |
 * | `GET /internal/routes` | endless NDJSON: a {@link RouteSnapshot} at once and after every change; `{}` every 5 s as a sign of life |
 * | `POST /internal/models/<name>/ensure?wait_ms=N` | 200 {@link ModelEntry} once ready; else an error envelope (404, 503) |
 * | `POST /internal/tasks` | raw body, {@link SUBMISSION_HEADER}; 201 {@link Submitted} once durable; else an error envelope |
 * | `GET /internal/tasks/<id>/answer?wait_ms=N` | 200 with {@link ANSWER_HEADER} and the answer's body; 204 when there is none yet; 404 when no such task was ever stored. A training's 202 counts as the answer |
 * | `POST /internal/tasks/<id>/hang-up` | 204; a task that still waits is cancelled when `tasks.cancel_on_hang_up` says so |
 * | `POST /internal/gate` | {@link GateRequest} as JSON; 200 headers when the permit is granted; the permit lasts until either side closes the connection |
 * | `GET /internal/metrics` | the sidecar's Prometheus text |
 * | `GET /internal/tasks?…` | operators' list, newest first: `{ tasks: TaskDetail[], next: string or null }`. Narrowed by `model`, `task`, `status`, `reason`, `class`, `tenant`, `since` and `until` (ISO 8601, of creation); `limit` 1 to 1000, default 50; `after` is a former page's `next` |
 *
 * Public paths (`/models`, `/tasks`, `/admin`, `/registry`, `/docs`, `/console`, `/health`) are served on the same socket under
 * their own names; the proxy forwards them as they come and never forwards a client's `/internal/…`.
 */
import type { ModelEntry } from "./models.js";
import type { RouteTable } from "./routes.js";
import type { RawHeaders } from "./tasks.js";

/** Port or host under which one model answers without the `/models/<name>` prefix. */
export interface Alias {
  readonly port: number | null;
  readonly host: string | null;
  readonly model: string;
}

/** Everything a proxy needs to route; replaced whole. */
export interface RouteSnapshot {
  /** Grows by one with every change; starts anew with the sidecar. */
  readonly version: number;
  readonly models: readonly ModelEntry[];
  readonly aliases: readonly Alias[];
  readonly routes: RouteTable;
}

/** Carries a {@link Submission} as base64url JSON. */
export const SUBMISSION_HEADER = "sluice-submission";

/** Carries a {@link StoredAnswer} as base64url JSON. */
export const ANSWER_HEADER = "sluice-answer";

/** The model server's own answer, or the one Sluice gives for a task that failed without one. */
export interface StoredAnswer {
  readonly status: number;
  readonly headers: RawHeaders;
  /** Where the time went, for Server-Timing. */
  readonly queueMs: number;
  readonly upstreamMs: number;
}

export interface GateRequest {
  readonly model: string;
  readonly class: string;
  readonly priority: number | null;
  readonly tenant: string | null;
  readonly requestId: string;
}

/** Sent by the sidecar as NDJSON on a quiet `/internal/routes` stream; a proxy that hears nothing for three of these reconnects. */
export const ROUTES_HEARTBEAT_MS = 5_000;

export function encodeInternal(value: unknown): string {
  return Buffer.from(JSON.stringify(value), "utf8").toString("base64url");
}

export function decodeInternal<T>(text: string): T {
  return JSON.parse(Buffer.from(text, "base64url").toString("utf8")) as T;
}
