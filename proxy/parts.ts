/** What the steps of a request stand on; put together in `server.ts`. */
import type { Config } from "../config/schema.js";
import type { HttpClient } from "../core/runtime/http.js";
import type { Logger } from "../core/runtime/logger.js";
import type { Forwarder } from "./forward/http.js";
import type { Upgrader } from "./forward/websocket.js";
import type { Ledger } from "./ledger.js";
import type { ProxyMetrics } from "./metrics.js";
import type { Presence } from "./presence.js";
import type { RouteFollower } from "./route-table.js";

export interface ProxyParts {
  readonly config: Config;
  readonly logger: Logger;
  readonly routes: RouteFollower;
  readonly presence: Presence;
  /** To model servers. */
  readonly models: Forwarder;
  /** To the sidecar's public API. */
  readonly sidecar: Forwarder;
  readonly upgrader: Upgrader;
  /** To the sidecar's internal API. */
  readonly client: HttpClient;
  readonly metrics: ProxyMetrics;
  readonly ledger: Ledger;
  readonly metricsOfAll?: () => Promise<string>;
  isDraining(): boolean;
}
