import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { systemClock } from "../../../core/runtime/clock.js";
import { createHealth } from "../../../sidecar/health.js";
import { startApp } from "./app-rig.js";

t.test("health asks every part and names them as CMG does", async (t) => {
  const { ask } = await startApp(t, { deps: { healthChecks: { docker: async () => {} } } });
  for (const path of ["/health", "/health/"]) {
    t.match(await ask("GET", path), {
      status: 200,
      json: {
        status: "healthy",
        components: {
          database: "healthy",
          task_object_store: "healthy",
          results_object_store: "healthy",
          queue: "healthy",
          docker: "healthy",
        },
      },
    });
  }
});

t.test("a part that fails is named in detail, with 503, and heals", async (t) => {
  let nowMs = 0;
  const { ask, dataDir } = await startApp(t, { deps: { clock: { ...systemClock, now: () => nowMs } } });
  const folder = join(dataDir, "results");
  rmSync(folder, { recursive: true });
  writeFileSync(folder, "not a folder");
  const { status, json } = await ask("GET", "/health");
  t.equal(status, 503);
  t.match(json, {
    detail: { status: "unhealthy", components: { results_object_store: "unhealthy", database: "healthy" } },
  });
  rmSync(folder);
  mkdirSync(folder);
  t.equal((await ask("GET", "/health")).status, 503, "the verdict is kept for two seconds");
  nowMs = 2_000;
  t.equal((await ask("GET", "/health")).status, 200);
});

t.test("a part that hangs is unhealthy within a second and is not asked again meanwhile", async (t) => {
  let asked = 0;
  let nowMs = 0;
  const health = createHealth(
    {
      disk: () => {
        asked += 1;
        return new Promise(() => {});
      },
    },
    () => nowMs,
  );
  const startedAt = performance.now();
  t.same(await health(), { isHealthy: false, components: { disk: "unhealthy" } });
  t.ok(performance.now() - startedAt < 10_000);
  nowMs = 10_000;
  await health();
  t.equal(asked, 1);
});
