import { readdirSync, truncateSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { createLogger } from "../../../core/runtime/logger.js";
import { openTasks } from "../../../sidecar/tasks/open-tasks.js";
import { makeFolder } from "../../helpers/folder.js";

const logger = createLogger({ level: "silent", format: "json", process: "test" });
const bounds = () => ({ maxTasks: 10, maxBytes: 1e9 });

async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}

t.test("a database that is gone is reported, and takes no stored body with it", async (t) => {
  const dataDir = makeFolder(t);
  const first = await openTasks({ dataDir, bounds, logger });
  await first.blobs.write("result", once(Buffer.alloc(100_000)), { maxBytes: 1e9, idleTimeoutMs: 5_000 });
  await first.store.close();
  truncateSync(join(dataDir, "sluice.db"));
  await t.rejects(openTasks({ dataDir, bounds, logger }), { code: "STORE_FAILED", message: /missing or empty/ });
  t.equal(readdirSync(join(dataDir, "results")).length, 1);
});

t.test("a start that was interrupted before its database had a shape begins anew", async (t) => {
  const dataDir = t.testdir({ "sluice.db": "" });
  const { store } = await openTasks({ dataDir, bounds, logger });
  t.same(store.countWaiting(), { tasks: 0, bytes: 0 });
  await store.close();
});
