/** The simulation's stand-ins keep the same contracts as the real ones, or what it shows would mean nothing. */
import { setImmediate as turn } from "node:timers/promises";
import t from "tap";
import { createPermits } from "../../sidecar/scheduler/limiter.js";
import { testPermits } from "../contract/permits.js";
import { testTaskStore } from "../contract/task-store.js";
import { MemoryPermits } from "./memory-permits.js";
import { MemoryStore } from "./memory-store.js";
import { MemoryTables } from "./memory-tables.js";

t.test("tasks in memory", async (t) => {
  testTaskStore(t, async (_t, bounds = { maxTasks: 10_000, maxBytes: 2 ** 30 }) => {
    return new MemoryStore({
      tables: new MemoryTables(),
      disk: { write: async (change) => turn().then(change) },
      bounds: () => bounds,
      order: () => ({ ageingMs: 60_000, weightOf: () => 1 }),
      releaseBlob: () => {},
      now: Date.now,
    });
  });
});

t.test("permits in memory", async (t) => {
  testPermits(t, (maxConcurrentTasks) => new MemoryPermits({ maxConcurrentTasks, budgets: new Map() }, () => turn()));
});

t.test("permits as Bottleneck counts them", async (t) => {
  testPermits(t, (maxConcurrentTasks) => createPermits({ maxConcurrentTasks, budgets: new Map() }));
});
