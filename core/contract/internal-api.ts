/**
 * What proxies and the sidecar say to each other, over HTTP on the sidecar's Unix socket.
 *
 * | call | answer |
 * | --- | --- |
 * | `GET /internal/routes` | endless NDJSON: a {@link RouteSnapshot} at once and after every change; `{}` every 5 s as a sign of life. {@link PROXY_HEADER} says which proxy listens |
 * | `POST /internal/presence` | {@link PresenceReport} as JSON; 204 |
 * | `POST /internal/models/<name>/ensure?wait_ms=N` | 200 {@link ModelEntry} once ready, with {@link TABLE_VERSION_HEADER}; else an error envelope (404, 503) |
 * | `POST /internal/models/<name>/stop?wait_ms=N` | for operators: as `POST /admin/models/<name>/stop`, waiting so long for what holds it |
 * | `GET /internal/models/<name>/logs?tail=N&follow=…` | for operators: as `GET /admin/models/<name>/logs`, whatever `models.logs_over_http` says |
 * | `POST /internal/tasks` | raw body, {@link SUBMISSION_HEADER}; 201 {@link Submitted} once durable; else an error envelope |
 * | `GET /internal/tasks/<id>/answer?wait_ms=N` | 200 with {@link ANSWER_HEADER} and the answer's body; 204 when there is none yet; 404 when no such task was ever stored. A training's 202 counts as the answer |
 * | `POST /internal/tasks/<id>/hang-up` | 204; a task that still waits is cancelled when `tasks.cancel_on_hang_up` says so |
 * | `POST /internal/gate` | {@link GateRequest} as JSON; 200 headers when the permit is granted; the permit lasts until either side closes the connection |
 * | `GET /internal/metrics` | the sidecar's Prometheus text |
 * | `GET /internal/tasks?…` | operators' list, newest first: `{ tasks: TaskDetail[], next: string or null }`. Narrowed by `model`, `task`, `status`, `reason`, `class`, `tenant`, `since` and `until` (ISO 8601, of creation); `limit` 1 to 1000, default 50; `after` is a former page's `next` |
 * | `POST /internal/registry/import`, `/export` | for operators: `ImportRequest` or `ExportRequest` of `registry-transfer.ts` as JSON; NDJSON of `TransferEvent`; an error envelope where it cannot begin. Closing the connection ends it |
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

/** Which route table: later ones of one epoch have greater versions; tables of two epochs are of two sidecar processes. */
export interface TableVersion {
  readonly epoch: string;
  /** Grows with every change. */
  readonly version: number;
}

/** Everything a proxy needs to route; replaced whole. */
export interface RouteSnapshot extends TableVersion {
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

/** A proxy's own name on its route stream: new with each process. */
export const PROXY_HEADER = "sluice-proxy";

/** Carries the {@link TableVersion} by which an answer is true, as `<version> <epoch>`. */
export const TABLE_VERSION_HEADER = "sluice-table-version";

export function encodeTableVersion({ epoch, version }: TableVersion): string {
  return `${version} ${epoch}`;
}

/** @returns null where there is none that can be read */
export function decodeTableVersion(text: unknown): TableVersion | null {
  const [, version, epoch] = typeof text === "string" ? (/^(\d+) (\S+)$/.exec(text) ?? []) : [];
  return version === undefined || epoch === undefined ? null : { epoch, version: Number(version) };
}

/**
 * What a proxy has in flight straight to model servers, and the newest route table it acts on. Whatever it decided by an older table
 * and has not ended is counted here.
 */
export interface PresenceReport extends TableVersion {
  /** As in {@link PROXY_HEADER}. */
  readonly proxy: string;
  /** Where a program on this machine reaches it: a base URL without trailing slash. */
  readonly localUrl: string;
  /** Grows with each report of this proxy. */
  readonly sequence: number;
  /** Requests and sockets by model; a model without any is left out. */
  readonly inFlight: Readonly<Record<string, number>>;
  /** The same by the server they were sent to ({@link ModelEntry.serverId}); servers that Sluice has not started have none. */
  readonly servers: Readonly<Record<string, number>>;
  /** Models that had a request since the last report that arrived. */
  readonly used: readonly string[];
  /** It ends: nothing is in flight any more, and nothing will be. */
  readonly isLeaving: boolean;
}

/** Sent by the sidecar as NDJSON on a quiet `/internal/routes` stream; a proxy that hears nothing for three of these reconnects. */
export const ROUTES_HEARTBEAT_MS = 5_000;

export function encodeInternal(value: unknown): string {
  return Buffer.from(JSON.stringify(value), "utf8").toString("base64url");
}

export function decodeInternal<T>(text: string): T {
  return JSON.parse(Buffer.from(text, "base64url").toString("utf8")) as T;
}
