/** The models' parts as the sidecar puts them together, over a real database and real processes, on a clock ten times as fast. */
import { join } from "node:path";
import type { Test } from "tap";
import type { ConfigInput } from "../../../config/schema.js";
import type { OnDemandCreate } from "../../../core/contract/model-management.js";
import type { Clock } from "../../../core/runtime/clock.js";
import { createHttpClient } from "../../../core/runtime/http.js";
import type { Logger } from "../../../core/runtime/logger.js";
import { createSidecarMetrics } from "../../../sidecar/metrics.js";
import { openModels } from "../../../sidecar/open-models.js";
import type { Registry } from "../../../sidecar/registry/registry.js";
import { openTasks } from "../../../sidecar/tasks/open-tasks.js";
import { fastClock } from "../../helpers/fast-clock.js";
import { command, configOf, folderOf, keepLog } from "./support.js";

/** So many of the clock's milliseconds pass in one real one. */
export const FACTOR = 10;
export const WAIT_MS = 300_000;

/** Deployed and on-demand models run the test's model server; `switches` are its own. */
export function templateOf(switches: readonly string[], given: ConfigInput = {}): ConfigInput {
  return {
    ...given,
    ripper: { interval: "5s", ...given.ripper },
    models: {
      ...given.models,
      deployment: {
        auto: { health_check_timeout: "10m", ...given.models?.deployment?.auto },
        process: { command: command(...switches) },
        ...given.models?.deployment,
      },
    },
  };
}

export interface ManagedParts {
  /** Default: one that runs fast. */
  readonly clock?: Clock;
  /** Default: none. */
  readonly registry?: Registry | null;
}

/** For a test as well as for a program that is killed. */
export async function openManaged(
  dataDir: string,
  given: ConfigInput,
  logger: Logger,
  { clock = fastClock(FACTOR), registry = null }: ManagedParts = {},
) {
  let config = configOf({ ...given, data_dir: dataDir });
  const tasks = await openTasks({ dataDir, bounds: () => ({ maxTasks: 1e6, maxBytes: 2 ** 40 }), logger });
  const http = createHttpClient({ connectTimeoutMs: 2_000 });
  const metrics = createSidecarMetrics(tasks.store);
  const models = openModels({ tasks, metrics, mlflow: null, registry, http, clock, logger, config: () => config });
  await models.catalogue.start();
  models.catalogue.managed.rollouts.start();
  return {
    ...models,
    store: tasks.models,
    clock,
    metrics: () => metrics.text(),
    reload(next: ConfigInput) {
      config = configOf({ ...next, data_dir: dataDir });
      models.catalogue.reconfigure(config);
    },
    async close() {
      await models.catalogue.stop(clock.now() + 20_000);
      await http.close();
      await tasks.store.close();
    },
  };
}

export async function startManaged(
  t: Test,
  given: ConfigInput,
  dataDir = join(folderOf(t), "data"),
  parts: ManagedParts = {},
) {
  const { logger, lines } = keepLog();
  const opened = await openManaged(dataDir, given, logger, parts);
  // As in the sidecar, where it is the servers that keep the process alive: the parts' own timers do not.
  const alive = setInterval(() => {}, 1_000);
  let closed: Promise<void> | undefined;
  const close = () => {
    clearInterval(alive);
    closed ??= opened.close();
    return closed;
  };
  t.teardown(close);
  return { ...opened, lines, dataDir, close };
}

export type Rig = Awaited<ReturnType<typeof startManaged>>;

export function onDemand(name: string, change: Partial<OnDemandCreate> = {}): OnDemandCreate {
  return {
    model_name: name,
    model_uri: `models:/${name}/1`,
    tracking_id: null,
    idle_ttl: null,
    description: null,
    deploy: null,
    follow: null,
    replace_enabled: true,
    inherit_config: true,
    ...change,
  };
}

export const deployRequest = (ttl: number | null = null) => ({ model_uri: "models:/m/1", tracking_id: null, ttl });
