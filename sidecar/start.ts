/**
 * Puts the sidecar together: store, models, scheduler, API. Reads in the order things start; what is pushed on the releasers stops in
 * the opposite one.
 */
import { mkdir } from "node:fs/promises";
import { type LoadedConfig, socketPathOf } from "../config/load.js";
import type { Config } from "../config/schema.js";
import { type Clock, systemClock } from "../core/runtime/clock.js";
import { createHttpClient } from "../core/runtime/http.js";
import { Releasers } from "../core/runtime/lifecycle.js";
import type { Logger } from "../core/runtime/logger.js";
import { registerModelRoutes } from "./api/models.js";
import { createApp, listenOnSocket } from "./app.js";
import { createSidecarMetrics } from "./metrics.js";
import { createModelCatalogue } from "./models/model-catalogue.js";
import { createAttempts } from "./scheduler/attempt.js";
import { isTraining } from "./scheduler/decide.js";
import { createDispatcher, type Dispatcher } from "./scheduler/dispatch.js";
import { createForecast } from "./scheduler/forecast.js";
import { createGate, type Gate } from "./scheduler/gate.js";
import { createPermits, type PermitSettings } from "./scheduler/limiter.js";
import type { ClassBudget } from "./scheduler/limiter-entry.js";
import type { RedisLimiters, RedisLimitersOptions } from "./scheduler/limiter-redis.js";
import { createCaller } from "./scheduler/run.js";
import { createWhy } from "./scheduler/why.js";
import { openTasks } from "./tasks/open-tasks.js";
import type { OrderSettings } from "./tasks/store.js";
import { openMlflow } from "./tracking/open-mlflow.js";
import { startUpkeep } from "./upkeep.js";

export interface Sidecar {
  /** Resolves when each static model has been checked once. */
  readonly firstRoundDone: Promise<void>;
  /** Takes over what may change while running: `RELOADABLE` in `config/settings.ts`. A process model that runs keeps its settings. */
  reconfigure(config: Config): void;
  /** Lets running calls end until the deadline (epoch ms), then stops everything. Idempotent. */
  stop(deadlineMs: number): Promise<void>;
}

/** @throws SluiceError when the data folder, its database or the socket cannot be had; nothing is left running then */
export async function startSidecar(
  loaded: LoadedConfig,
  logger: Logger,
  onDeath: (error: Error) => void,
  clock: Clock = systemClock,
): Promise<Sidecar> {
  const releasers = new Releasers();
  try {
    return await start({ initial: loaded.config, logger, onDeath, clock }, releasers);
  } catch (error) {
    await releasers.stop(Date.now() + 5_000).catch(() => undefined);
    throw error;
  }
}

interface StartOptions {
  readonly initial: Config;
  readonly logger: Logger;
  readonly onDeath: (error: Error) => void;
  readonly clock: Clock;
}

async function start({ initial, logger, onDeath, clock }: StartOptions, releasers: Releasers): Promise<Sidecar> {
  let config = initial;
  const listeners = new Set<() => void>();
  const dataDir = config.data_dir;
  await mkdir(dataDir, { recursive: true, mode: 0o700 });

  const tasks = await openTasks({
    dataDir,
    bounds: () => boundsOf(config),
    order: () => orderOf(config),
    logger,
    onDeath,
  });
  const { store, blobs } = tasks;
  releasers.push("task store", () => store.close());

  const http = createHttpClient();
  releasers.push("http client", () => http.close());

  const catalogue = createModelCatalogue({ config, dataDir, logger: logger.child("sidecar.models"), clock, http });
  releasers.push("models", (deadlineMs) => catalogue.stop(deadlineMs));
  await catalogue.start();

  const metrics = createSidecarMetrics(store);
  const { url: redisUrl, prefix } = config.redis;
  const shared =
    redisUrl === null ? null : await openRedis({ url: redisUrl, prefix, clock, logger: logger.child("sidecar.redis") });
  const permits = createPermits(permitSettings(config), { clock, ...(shared === null ? {} : { limiters: shared }) });
  releasers.push("permits", () => permits.stop());
  const forecast = createForecast({ store, catalogue, clock, permits, limits: () => permitSettings(config) });
  releasers.push("forecast", async () => forecast.stop());
  const { connect, response, idle } = config.proxy.timeouts;
  const caller = createCaller({ blobs, connectTimeoutMs: connect, responseTimeoutMs: response, idleTimeoutMs: idle });
  releasers.push("calls", () => caller.close());

  const schedulerLogger = logger.child("sidecar.scheduler");
  const trackingConfig = config.tracking ?? config.cms.tracking;
  const mlflow = await openMlflow(trackingConfig, clock, logger.child("sidecar.tracking"));
  releasers.push("mlflow", () => mlflow.close());
  const attempts = createAttempts({
    store,
    blobs,
    catalogue,
    caller,
    http,
    clock,
    logger: schedulerLogger,
    observer: metrics,
    trackingUri: () => trackingConfig.uri,
    mlflow,
    followBounds: () => ({ lostAfterMs: config.scheduler.lost_after, limitMs: config.scheduler.training_limit }),
  });
  const startTimeoutMs = () => config.models.deployment.auto.health_check_timeout;
  const dispatcher: Dispatcher = createDispatcher({
    store,
    catalogue,
    permits,
    attempts,
    clock,
    logger: schedulerLogger,
    observer: metrics,
    settings: () => config.scheduler,
    gateUrgency: () => gate.urgency(),
    startTimeoutMs,
  });
  const gate: Gate = createGate({
    catalogue,
    permits,
    clock,
    ageingMs: () => config.scheduler.ageing,
    taskUrgency: dispatcher.urgency,
    startTimeoutMs,
    priorityOf: (className, asked) => priorityIn(config, className, asked),
    maxWaiting: () => config.scheduler.queue.max_tasks,
  });

  const upkeep = startUpkeep({ tasks, catalogue, metrics, http, clock, logger, config: () => config });
  releasers.push("upkeep", () => upkeep.stop());

  const app = createApp(
    {
      store,
      blobs,
      callbacks: tasks.callbacks,
      cache: upkeep.cache,
      catalogue,
      gate,
      cancelTraining: attempts.cancelTraining,
      estimateSeconds: forecast.estimateSeconds,
      why: createWhy({
        store,
        catalogue,
        permits,
        forecast,
        clock,
        routes: () => config.scheduler.routes,
        startTimeoutMs,
      }),
      anticipate: dispatcher.anticipate,
      wake: (task) => {
        dispatcher.wake();
        if (task.mode === "held" && isTraining(task.task)) void attempts.answerHeld(task.model);
      },
      config: () => config,
      onConfigChange: (listener) => {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
      ...(shared === null ? {} : { healthChecks: { redis: shared.probe } }),
      logger,
      metrics,
      clock,
    },
    [(each) => registerModelRoutes(each, { catalogue, http })],
  );
  await listenOnSocket(app, socketPathOf(config));
  releasers.push("api", () => app.close());

  forecast.seed(Object.keys(config.scheduler.classes));
  await dispatcher.start();
  releasers.push("dispatcher", (deadlineMs) => dispatcher.stop(deadlineMs));

  return {
    firstRoundDone: catalogue.allFirstRoundDone,
    reconfigure(next) {
      catalogue.reconfigure(next);
      config = next;
      logger.setLevel(next.log.level);
      void permits.reconfigure(permitSettings(next));
      for (const listener of listeners) listener();
      dispatcher.wake();
    },
    stop: (deadlineMs) => releasers.stop(deadlineMs),
  };
}

/** Loaded only where it is wanted: the client's library costs a quarter of a second of processor time. */
async function openRedis(options: RedisLimitersOptions): Promise<RedisLimiters> {
  const { createRedisLimiters } = await import("./scheduler/limiter-redis.js");
  return createRedisLimiters(options);
}

function boundsOf(config: Config): { maxTasks: number; maxBytes: number } {
  return { maxTasks: config.scheduler.queue.max_tasks, maxBytes: config.scheduler.queue.max_bytes };
}

function orderOf({ scheduler }: Config): OrderSettings {
  const { ageing, tenants } = scheduler;
  return {
    ageingMs: ageing,
    weightOf: (tenant) => (tenant !== null && Object.hasOwn(tenants, tenant) ? tenants[tenant]!.weight : 1),
  };
}

function permitSettings(config: Config): PermitSettings {
  const budgets = new Map<string, ClassBudget>();
  for (const [name, { reservoir }] of Object.entries(config.scheduler.classes)) {
    if (reservoir !== null) budgets.set(name, budgetOf(reservoir));
  }
  const entries = [...config.discovery.static, ...config.discovery.process];
  const own = new Map(entries.map(({ name, rate_limit }) => [name, rate_limit ?? config.models.rate_limit]));
  const rateOf = (model: string) => {
    const rate = own.get(model) ?? config.models.rate_limit;
    return rate === null ? null : { amount: rate.amount, perMs: rate.per };
  };
  return { maxConcurrentTasks: config.scheduler.max_concurrent_tasks, budgets, rateOf };
}

function budgetOf({ amount, refresh, increase }: Reservoir): ClassBudget {
  if (increase === null) return { amount, refreshMs: refresh! };
  return { amount, increase: { amount: increase.amount, everyMs: increase.every, maximum: increase.maximum } };
}

type Reservoir = NonNullable<Config["scheduler"]["classes"][string]["reservoir"]>;

function priorityIn(config: Config, className: string, asked: number | null): number {
  const settings = config.scheduler.classes[className];
  if (settings === undefined) return 9;
  const [lowest, highest] = settings.bounds;
  return asked === null ? settings.priority : Math.min(Math.max(asked, lowest), highest);
}
