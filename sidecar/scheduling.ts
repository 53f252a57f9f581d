/** What lets tasks and gated requests run, put together: permits, forecast, calls, attempts, dispatcher, gate. */
import type { Config } from "../config/schema.js";
import type { Clock } from "../core/runtime/clock.js";
import type { HttpClient } from "../core/runtime/http.js";
import type { Releasers } from "../core/runtime/lifecycle.js";
import type { Logger } from "../core/runtime/logger.js";
import type { SidecarMetrics } from "./metrics.js";
import type { ModelCatalogue } from "./models/catalogue.js";
import { type Attempts, createAttempts } from "./scheduler/attempt.js";
import { createDispatcher, type Dispatcher } from "./scheduler/dispatch.js";
import { createForecast, type Forecast } from "./scheduler/forecast.js";
import { createGate, type Gate } from "./scheduler/gate.js";
import { createPermits, type Permits } from "./scheduler/limiter.js";
import type { RedisLimiters, RedisLimitersOptions } from "./scheduler/limiter-redis.js";
import { createCaller } from "./scheduler/run.js";
import { createWhy, type Why } from "./scheduler/why.js";
import { gatePriority, orderOf, permitSettingsOf } from "./settings.js";
import type { OpenTasks } from "./tasks/open-tasks.js";
import type { Mlflow } from "./tracking/mlflow.js";

export interface SchedulingOptions {
  readonly tasks: Pick<OpenTasks, "store" | "blobs">;
  readonly catalogue: ModelCatalogue;
  readonly metrics: SidecarMetrics;
  /** Null where there is none that can be asked. */
  readonly mlflow: Mlflow | null;
  readonly http: HttpClient;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Asked whenever a setting is used: a reload takes effect at once. */
  readonly config: () => Config;
}

export interface Scheduling {
  /** Null without `redis.url`. */
  readonly redis: RedisLimiters | null;
  readonly permits: Permits;
  readonly forecast: Forecast;
  readonly attempts: Attempts;
  /** Not started yet; stopped by whoever starts it. */
  readonly dispatcher: Dispatcher;
  readonly gate: Gate;
  readonly why: Why;
}

/** @throws TypeError when `redis.url` is no URL */
export async function openScheduling(options: SchedulingOptions, releasers: Releasers): Promise<Scheduling> {
  const { tasks, catalogue, metrics, mlflow, http, clock, logger, config } = options;
  const { store, blobs } = tasks;
  const startTimeoutMs = () => config().models.deployment.auto.health_check_timeout;

  const redis = await openRedis({ ...config().redis, clock, logger: logger.child("sidecar.redis") });
  const permits = createPermits(permitSettingsOf(config()), { clock, ...(redis === null ? {} : { limiters: redis }) });
  releasers.push("permits", () => permits.stop());
  const forecast = createForecast({ store, catalogue, clock, permits, limits: () => permitSettingsOf(config()) });
  releasers.push("forecast", async () => forecast.stop());

  const { connect, response, idle } = config().proxy.timeouts;
  const caller = createCaller({ blobs, connectTimeoutMs: connect, responseTimeoutMs: response, idleTimeoutMs: idle });
  releasers.push("calls", () => caller.close());
  const tracking = config().tracking ?? config().cms.tracking;

  const shared = { store, catalogue, clock, logger: logger.child("sidecar.scheduler"), observer: metrics };
  const attempts = createAttempts({
    ...shared,
    blobs,
    caller,
    http,
    trackingUri: () => tracking.uri,
    mlflow,
    followBounds: () => ({ lostAfterMs: config().scheduler.lost_after, limitMs: config().scheduler.training_limit }),
  });
  const dispatcher: Dispatcher = createDispatcher({
    ...shared,
    permits,
    attempts,
    settings: () => config().scheduler,
    gateUrgency: () => gate.urgency(),
    startTimeoutMs,
  });
  const gate: Gate = createGate({
    catalogue,
    permits,
    clock,
    ageingMs: () => config().scheduler.ageing,
    taskUrgency: dispatcher.urgency,
    startTimeoutMs,
    priorityOf: (className, asked) => gatePriority(config(), className, asked),
    weightOf: (tenant) => orderOf(config()).weightOf(tenant),
    maxWaiting: () => config().scheduler.queue.max_tasks,
  });
  const routes = () => config().scheduler.routes;
  const why = createWhy({ store, catalogue, permits, forecast, clock, routes, startTimeoutMs });
  return { redis, permits, forecast, attempts, dispatcher, gate, why };
}

/** Loaded only where it is wanted: the client's library costs a quarter of a second of processor time. */
async function openRedis(
  options: Omit<RedisLimitersOptions, "url"> & { readonly url: string | null },
): Promise<RedisLimiters | null> {
  const { url } = options;
  if (url === null) return null;
  const { createRedisLimiters } = await import("./scheduler/limiter-redis.js");
  return createRedisLimiters({ ...options, url });
}
