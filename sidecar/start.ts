/**
 * Puts the sidecar together: store, models, scheduler, API. Reads in the order things start; what is pushed on the releasers stops in
 * the opposite one.
 */
import { mkdir } from "node:fs/promises";
import { type LoadedConfig, socketPathOf } from "../config/load.js";
import type { Config } from "../config/schema.js";
import { systemClock } from "../core/runtime/clock.js";
import { createHttpClient } from "../core/runtime/http.js";
import { Releasers } from "../core/runtime/lifecycle.js";
import type { Logger } from "../core/runtime/logger.js";
import { registerModelRoutes } from "./api/models.js";
import { createApp, listenOnSocket } from "./app.js";
import { createSidecarMetrics } from "./metrics.js";
import { createModelCatalogue } from "./models/model-catalogue.js";
import { createAttempts } from "./scheduler/attempt.js";
import { answerBusy } from "./scheduler/busy.js";
import { isTraining } from "./scheduler/decide.js";
import { createDispatcher } from "./scheduler/dispatch.js";
import { createGate } from "./scheduler/gate.js";
import { createPermits, type PermitSettings } from "./scheduler/limiter.js";
import { createCaller } from "./scheduler/run.js";
import { openTasks } from "./tasks/open-tasks.js";
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
): Promise<Sidecar> {
  const releasers = new Releasers();
  try {
    return await start(loaded.config, logger, onDeath, releasers);
  } catch (error) {
    await releasers.stop(Date.now() + 5_000).catch(() => undefined);
    throw error;
  }
}

async function start(
  initial: Config,
  logger: Logger,
  onDeath: (error: Error) => void,
  releasers: Releasers,
): Promise<Sidecar> {
  let config = initial;
  const listeners = new Set<() => void>();
  const clock = systemClock;
  const dataDir = config.data_dir;
  await mkdir(dataDir, { recursive: true, mode: 0o700 });

  const tasks = await openTasks({ dataDir, bounds: () => boundsOf(config), logger, onDeath });
  const { store, blobs } = tasks;
  releasers.push("task store", () => store.close());

  const http = createHttpClient();
  releasers.push("http client", () => http.close());

  const catalogue = createModelCatalogue({ config, dataDir, logger: logger.child("sidecar.models"), clock, http });
  releasers.push("models", (deadlineMs) => catalogue.stop(deadlineMs));
  await catalogue.start();

  const metrics = createSidecarMetrics(store);
  const permits = createPermits(permitSettings(config));
  const { connect, response, idle } = config.proxy.timeouts;
  const caller = createCaller({ blobs, connectTimeoutMs: connect, responseTimeoutMs: response, idleTimeoutMs: idle });
  releasers.push("calls", () => caller.close());

  const schedulerLogger = logger.child("sidecar.scheduler");
  const attempts = createAttempts({
    store,
    blobs,
    catalogue,
    caller,
    http,
    clock,
    logger: schedulerLogger,
    observer: metrics,
    trackingUri: () => (config.tracking ?? config.cms.tracking).uri,
  });
  const startTimeoutMs = () => config.models.deployment.auto.health_check_timeout;
  const dispatcher = createDispatcher({
    store,
    catalogue,
    permits,
    attempts,
    clock,
    logger: schedulerLogger,
    observer: metrics,
    routes: () => config.scheduler.routes,
    startTimeoutMs,
  });
  const gate = createGate({
    catalogue,
    permits,
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
      anticipate: dispatcher.anticipate,
      wake: (task) => {
        dispatcher.wake();
        if (task.mode === "held" && isTraining(task.task))
          void answerBusy({ store, blobs, logger, now: clock.now }, task.model);
      },
      config: () => config,
      onConfigChange: (listener) => {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
      logger,
      metrics,
      clock,
    },
    [(each) => registerModelRoutes(each, { catalogue, http })],
  );
  await listenOnSocket(app, socketPathOf(config));
  releasers.push("api", () => app.close());

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

function boundsOf(config: Config): { maxTasks: number; maxBytes: number } {
  return { maxTasks: config.scheduler.queue.max_tasks, maxBytes: config.scheduler.queue.max_bytes };
}

function permitSettings(config: Config): PermitSettings {
  const budgets = new Map<string, { amount: number; refreshMs: number }>();
  for (const [name, { reservoir }] of Object.entries(config.scheduler.classes)) {
    if (reservoir !== null) budgets.set(name, { amount: reservoir.amount, refreshMs: reservoir.refresh });
  }
  return { maxConcurrentTasks: config.scheduler.max_concurrent_tasks, budgets };
}

function priorityIn(config: Config, className: string, asked: number | null): number {
  const settings = config.scheduler.classes[className];
  if (settings === undefined) return 9;
  const [lowest, highest] = settings.bounds;
  return asked === null ? settings.priority : Math.min(Math.max(asked, lowest), highest);
}
