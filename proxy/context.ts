/** What the admission steps (queue and gate) get to know of a request. Built only for heavy requests: the light path allocates none. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Config } from "../config/schema.js";
import type { ModelEntry } from "../core/contract/models.js";
import type { RouteRule } from "../core/contract/routes.js";
import type { HttpClient } from "../core/runtime/http.js";
import type { Logger } from "../core/runtime/logger.js";

export interface AdmitContext {
  /** Its body is unread. */
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly requestId: string;
  /** The entry in the last snapshot; undefined where a task names a model the snapshot does not know. */
  readonly model: ModelEntry | undefined;
  /** The name as the client wrote it, decoded. */
  readonly modelName: string;
  /** `/models/<name>` as the client wrote it, empty under an alias. */
  readonly prefix: string;
  /** Path and query for the model server, byte for byte. */
  readonly rawPath: string;
  /** Decoded path below the model's base, with leading slash, without query. */
  readonly path: string;
  /** Raw query with its question mark, or empty. */
  readonly query: string;
  readonly rule: RouteRule;
  /** `performance.now()` when the request's head had arrived. */
  readonly receivedAtMs: number;
  /** Name of the task for `POST /models/<name>/tasks/<task>`, else null. */
  readonly cmgTask: string | null;
  /** Flat end-to-end headers for the model server: hop-by-hop, X-Sluice-*, Sluice-Callback and Prefer removed, X-Forwarded-* and X-Request-Id set. */
  readonly headers: readonly string[];
  /** Names the client's host in messages and logs; the peer's address. */
  readonly peer: string;
  /** Speaks to the sidecar over its Unix socket. */
  readonly sidecar: HttpClient;
  readonly logger: Logger;
  readonly config: Config;
  /** Call once before reading the body: it answers a waiting `Expect: 100-continue`. */
  startBody(): void;
}
