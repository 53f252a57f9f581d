/**
 * Puts the sidecar together: registry, store, models, scheduler, API. Reads in the order things start; what is pushed on the releasers stops in
 * the opposite one.
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { archiveDirOf, type LoadedConfig, socketPathOf } from "../config/load.js";
import type { Config } from "../config/schema.js";
import { type Clock, systemClock } from "../core/runtime/clock.js";
import { createHttpClient } from "../core/runtime/http.js";
import { Releasers } from "../core/runtime/lifecycle.js";
import type { Logger } from "../core/runtime/logger.js";
import { registerDeploymentRoutes } from "./api/deployments.js";
import { registerModelOperations } from "./api/model-operations.js";
import { registerModelRoutes } from "./api/models.js";
import { registerOnDemandRoutes } from "./api/on-demand.js";
import { registerRegistryRoutes } from "./api/registry.js";
import { registerRegistryTransfers } from "./api/registry-transfers.js";
import { createApp, listenOnSocket } from "./app.js";
import type { HealthCheck } from "./health.js";
import { createSidecarMetrics } from "./metrics.js";
import { openModels } from "./open-models.js";
import { openRegistryService, type Place, type RegistryService } from "./registry/service.js";
import { Transfers } from "./registry/transfers.js";
import { isTraining } from "./scheduler/decide.js";
import { openScheduling } from "./scheduling.js";
import { orderOf, permitSettingsOf, queueBoundsOf } from "./settings.js";
import { openTasks } from "./tasks/open-tasks.js";
import { openMlflow } from "./tracking/open-mlflow.js";
import { startUpkeep } from "./upkeep.js";

export interface Sidecar {
  /** Resolves when each static model has been checked once. */
  readonly firstRoundDone: Promise<void>;
  /** Where the model registry listens. */
  readonly registry: Place;
  /** Takes over what may change while running: `RELOADABLE` in `config/settings.ts`. A process model that runs keeps its settings. */
  reconfigure(config: Config): void;
  /** Lets running calls end until the deadline (epoch ms), then stops everything. Idempotent. */
  stop(deadlineMs: number): Promise<void>;
}

export interface SidecarOptions {
  /** Default: the system's. */
  readonly clock?: Clock;
  /** Where the registry listens when its configured port is 0. Default: any free one. */
  readonly registryPort?: number | null;
}

/** @throws SluiceError when the data folder, a database, the socket or the registry's port cannot be had; nothing is left running then */
export async function startSidecar(
  loaded: LoadedConfig,
  logger: Logger,
  onDeath: (error: Error) => void,
  { clock = systemClock, registryPort = null }: SidecarOptions = {},
): Promise<Sidecar> {
  const releasers = new Releasers();
  try {
    return await start({ initial: loaded.config, logger, onDeath, clock, registryPort }, releasers);
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
  readonly registryPort: number | null;
}

async function start(options: StartOptions, releasers: Releasers): Promise<Sidecar> {
  const { initial, logger, onDeath, clock } = options;
  let config = initial;
  const listeners = new Set<() => void>();
  const dataDir = config.data_dir;
  await mkdir(dataDir, { recursive: true, mode: 0o700 });

  const opening = openRegistryService({
    config: () => config,
    databaseFile: join(dataDir, "registry.db"),
    archiveDir: archiveDirOf(config),
    process: "sidecar",
    clock,
    onDeath,
  });
  const undoing = opening.then(
    (registry) => () => registry.close(),
    // Told below, where it is waited for.
    () => async () => {},
  );
  releasers.push("registry", async () => (await undoing)());

  const tasks = await openTasks({
    dataDir,
    bounds: () => queueBoundsOf(config),
    order: () => orderOf(config),
    logger,
    onDeath,
  });
  const { store, blobs } = tasks;
  releasers.push("task store", () => store.close());

  const http = createHttpClient();
  releasers.push("http client", () => http.close());

  const mlflow = await openMlflow(config.tracking ?? config.cms.tracking, clock, logger.child("sidecar.tracking"));
  if (mlflow !== null) releasers.push("mlflow", () => mlflow.close());

  const metrics = createSidecarMetrics(store);
  const registry = await opening;
  const shared = { tasks, metrics, mlflow, http, clock, logger, config: () => config };
  const models = openModels({ ...shared, registry: registry.registry });
  const { catalogue, management, knowledge } = models;
  const stopModels = (deadlineMs: number) => catalogue.stop(deadlineMs);
  releasers.push("models", stopModels);
  await catalogue.start();

  const parts = { ...shared, ...models };
  const scheduling = await openScheduling(parts, releasers);
  const { permits, forecast, attempts, dispatcher, gate } = scheduling;

  const upkeep = startUpkeep(parts);
  releasers.push("upkeep", () => upkeep.stop());

  const app = createApp(
    {
      store,
      blobs,
      callbacks: tasks.callbacks,
      cache: upkeep.cache,
      catalogue,
      presence: catalogue.presence,
      gate,
      cancelTraining: attempts.cancelTraining,
      estimateSeconds: forecast.estimateSeconds,
      why: scheduling.why,
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
      healthChecks: {
        registry: () => registry.probe(),
        ...(scheduling.redis === null ? {} : { redis: scheduling.redis.probe }),
      },
      outsideChecks: directoryCheck(registry),
      logger,
      metrics,
      clock,
    },
    [
      (each) => registerModelRoutes(each, { catalogue, http, management, knowledge }),
      (each) => registerDeploymentRoutes(each, management),
      (each) => registerOnDemandRoutes(each, management.onDemand),
      (each) =>
        registerRegistryRoutes(each, {
          registry: registry.registry,
          uploads: registry.uploads,
          idleMs: () => config.proxy.timeouts.body,
        }),
      (each) =>
        registerModelOperations(each, {
          catalogue,
          management,
          areLogsPublic: () => config.models.logs_over_http,
        }),
      (each) => registerRegistryTransfers(each, new Transfers(registry)),
    ],
  );
  await listenOnSocket(app, socketPathOf(config));
  releasers.push("api", () => app.close());
  // Before the proxies lose sight of us: they are told of each drain, and say when they use a model no more.
  releasers.push("model servers", stopModels);

  forecast.seed(Object.keys(config.scheduler.classes));
  await dispatcher.start();
  catalogue.managed.rollouts.start();
  releasers.push("dispatcher", (deadlineMs) => dispatcher.stop(deadlineMs));

  const { port } = config.registry;
  const place = await registry.listen(port === 0 ? (options.registryPort ?? 0) : port, metrics.registry);
  // First of all: its port is free for the next one before anything says that we are gone. "registry" waits for its end.
  releasers.push("registry server", (deadlineMs) => void registry.stopServing(deadlineMs));

  return {
    firstRoundDone: catalogue.allFirstRoundDone,
    registry: place,
    reconfigure(next) {
      catalogue.reconfigure(next);
      config = next;
      logger.setLevel(next.log.level);
      registry.reconfigure(next);
      void permits.reconfigure(permitSettingsOf(next));
      for (const listener of listeners) listener();
      dispatcher.wake();
    },
    stop: (deadlineMs) => releasers.stop(deadlineMs),
  };
}

/** Whether the directory shows the registry: somebody else's state, which leaves ours as it is. */
function directoryCheck(registry: RegistryService): Record<string, HealthCheck> {
  if (registry.registration() === null) return {};
  return {
    async directory() {
      const state = registry.registration();
      if (state?.isRegistered !== true) throw new Error(state?.problem ?? "not registered yet");
    },
  };
}
