/** What becomes of final tasks, put together: retention, callbacks, result cache. */
import type { Config } from "../config/schema.js";
import { callbackKey } from "../config/sections/upkeep.js";
import { isFinal } from "../core/contract/tasks.js";
import type { Clock } from "../core/runtime/clock.js";
import type { HttpClient } from "../core/runtime/http.js";
import type { Logger } from "../core/runtime/logger.js";
import { createModelVersions } from "./cache/model-versions.js";
import { createResultCache, type ResultCache } from "./cache/result-cache.js";
import { startDelivery } from "./callbacks/delivery.js";
import type { SidecarMetrics } from "./metrics.js";
import type { ModelCatalogue } from "./models/catalogue.js";
import { isTraining } from "./scheduler/decide.js";
import type { OpenTasks } from "./tasks/open-tasks.js";
import { createReserve } from "./tasks/reserve.js";
import { startRetention } from "./tasks/retention.js";
import { createUpkeepMetrics } from "./upkeep-metrics.js";

export interface UpkeepOptions {
  readonly tasks: OpenTasks;
  readonly catalogue: ModelCatalogue;
  readonly metrics: SidecarMetrics;
  readonly http: HttpClient;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Asked whenever a setting is used: a reload takes effect at once. */
  readonly config: () => Config;
}

export interface Upkeep {
  readonly cache: ResultCache;
  stop(): Promise<void>;
}

export function startUpkeep(options: UpkeepOptions): Upkeep {
  const { tasks, catalogue, http, clock, config } = options;
  const metrics = createUpkeepMetrics(options.metrics.registry, tasks.retention);
  const retention = startRetention({
    store: tasks.retention,
    blobs: tasks.blobs,
    reserve: createReserve(config().data_dir),
    settings: () => ({ retentionMs: config().results.retention, maxBytes: config().results.max_bytes }),
    clock,
    logger: options.logger.child("sidecar.retention"),
    observer: metrics,
  });
  const delivery = startDelivery({
    store: tasks.callbacks,
    http,
    key() {
      const { secret } = config().callbacks;
      return secret === null ? null : callbackKey(secret);
    },
    clock,
    logger: options.logger.child("sidecar.callbacks"),
    observer: metrics,
  });
  const cache = createResultCache({
    answers: tasks.answers,
    blobs: tasks.blobs,
    versions: createModelVersions(catalogue, http, clock),
    settings: () => ({ enabled: config().results.cache.enabled, maxAgeMs: config().results.cache.max_age }),
    changesModel: isTraining,
    clock,
    logger: options.logger.child("sidecar.cache"),
    observer: { asked: metrics.asked, completed: options.metrics.completed },
  });
  const unsubscribe = tasks.store.onChange((task) => {
    cache.heard(task);
    if (isFinal(task.status)) delivery.wake();
  });
  return {
    cache,
    async stop() {
      unsubscribe();
      await Promise.all([retention.stop(), delivery.stop()]);
    },
  };
}
