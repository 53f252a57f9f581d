/** The sidecar's API on a real Unix socket over a real store. */
import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Test } from "tap";
import { type Config, type ConfigInput, configSchema } from "../../../config/schema.js";
import { encodeInternal, SUBMISSION_HEADER } from "../../../core/contract/internal-api.js";
import type { ModelEntry } from "../../../core/contract/models.js";
import type { Submission } from "../../../core/contract/tasks.js";
import { systemClock } from "../../../core/runtime/clock.js";
import { createHttpClient, type HttpAnswer, type HttpCall } from "../../../core/runtime/http.js";
import { type AppDeps, createApp, listenOnSocket, type RegisterRoutes } from "../../../sidecar/app.js";
import { createSidecarMetrics } from "../../../sidecar/metrics.js";
import type { ModelCatalogue } from "../../../sidecar/models/catalogue.js";
import { Presence } from "../../../sidecar/models/presence.js";
import { createForecast } from "../../../sidecar/scheduler/forecast.js";
import { createPermits } from "../../../sidecar/scheduler/limiter.js";
import { createWhy } from "../../../sidecar/scheduler/why.js";
import { queueBoundsOf } from "../../../sidecar/settings.js";
import { submissionOf } from "../../helpers/sidecar.js";
import { openRig, quiet } from "../tasks/store-rig.js";

export const GAZETTEER: ModelEntry = {
  name: "gazetteer",
  source: "static",
  state: "ready",
  url: "http://127.0.0.1:1",
  address: null,
  onDemand: false,
  concurrency: 1,
  modelType: null,
  modelUri: null,
  problem: null,
};

/** A catalogue whose one entry a test can change. */
export function oneModel() {
  const listeners = new Set<(models: ModelEntry[]) => void>();
  let entry = GAZETTEER;
  const catalogue: ModelCatalogue = {
    get: (name) => (name === entry.name ? entry : undefined),
    list: () => [entry],
    ensureReady: async () => entry,
    onChange: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    lease: () => () => {},
    isChanging: () => false,
  };
  const change = (next: Partial<ModelEntry>) => {
    entry = { ...entry, ...next };
    for (const listener of listeners) listener([entry]);
  };
  return { catalogue, change };
}

export function submission(change: Partial<Submission> = {}): Submission {
  const held = { model: "gazetteer", mode: "held", requestId: "request-7", source: "ip=127.0.0.1; ua=N/A" } as const;
  return submissionOf({ uuid: randomUUID(), ...held, ...change });
}

interface AppOptions {
  readonly deps?: Partial<AppDeps>;
  readonly config?: ConfigInput;
  /** Routes of other parts. */
  readonly more?: readonly RegisterRoutes[];
}

export async function startApp(t: Test, options: AppOptions = {}) {
  const config: Config = configSchema.parse(options.config ?? {});
  const { store, blobs, dataDir } = await openRig(t, { bounds: queueBoundsOf(config) });
  const models = oneModel();
  const limits = { maxConcurrentTasks: config.scheduler.max_concurrent_tasks, budgets: new Map() };
  const permits = createPermits(limits);
  const forecast = createForecast({
    store,
    catalogue: models.catalogue,
    clock: systemClock,
    permits,
    limits: () => limits,
  });
  let woken = 0;
  const deps: AppDeps = {
    store,
    blobs,
    catalogue: models.catalogue,
    presence: new Presence({ clock: systemClock, take: models.catalogue.lease, onFree: () => {} }),
    gate: { acquire: async () => () => {} },
    cancelTraining: async () => ({ accepted: true, message: "it will stop" }),
    anticipate: () => {},
    estimateSeconds: forecast.estimateSeconds,
    why: createWhy({
      store,
      catalogue: models.catalogue,
      permits,
      forecast,
      clock: systemClock,
      routes: () => config.scheduler.routes,
      startTimeoutMs: () => 1_000,
    }),
    wake: () => {
      woken += 1;
    },
    config: () => config,
    onConfigChange: () => () => {},
    logger: quiet,
    metrics: createSidecarMetrics(store),
    clock: systemClock,
    ...options.deps,
  };
  const app = createApp(deps, options.more);
  // A socket's path has room for 107 bytes; a test's own folder is often longer.
  const folder = mkdtempSync(join(tmpdir(), "sluice-api-"));
  const socketPath = join(folder, "s.sock");
  await listenOnSocket(app, socketPath);
  const http = createHttpClient({ socketPath });
  t.teardown(async () => {
    await http.close();
    await app.close();
    forecast.stop();
    await permits.stop();
    rmSync(folder, { recursive: true });
  });

  const call = (method: HttpCall["method"], path: string, more: Partial<HttpCall> = {}): Promise<HttpAnswer> =>
    http.call({ method, origin: "http://sidecar", path, ...more });
  const ask = async (method: HttpCall["method"], path: string, more: Partial<HttpCall> = {}) => {
    const { status, headers, body } = await call(method, path, more);
    const text = await body.text();
    // biome-ignore lint/suspicious/noExplicitAny: a test reads what it expects
    return { status, headers, text, json: isJson(text) ? (JSON.parse(text) as any) : null };
  };
  const submit = (change: Partial<Submission> = {}, body: HttpCall["body"] = "Seen by Dr Khan") =>
    ask("POST", "/internal/tasks", {
      headers: { [SUBMISSION_HEADER]: encodeInternal(submission(change)) },
      body: body!,
    });
  return { app, store, blobs, dataDir, models, permits, call, ask, submit, socketPath, woken: () => woken };
}

function isJson(text: string): boolean {
  return text.startsWith("{") || text.startsWith("[");
}
