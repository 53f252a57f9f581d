/** The registry as it is served, in a process of its own. Its folder is its argument. */
import { join } from "node:path";
import { systemClock } from "../../core/runtime/clock.js";
import { createLogger } from "../../core/runtime/logger.js";
import { startRegistryServer } from "../../sidecar/registry/grpc.js";
import { expectBigBuffers } from "../../sidecar/registry/heap.js";
import { openRegistry } from "../../sidecar/registry/open-registry.js";
import { CHUNK_BYTES, type Committed, WATCHED_MODEL } from "./messages.js";
import { serveOrders } from "./serve-orders.js";

expectBigBuffers();
const folder = process.argv[2]!;
const logger = createLogger({ level: "warn", format: "json", process: "bench" });
const { registry, close } = await openRegistry({
  databaseFile: join(folder, "registry.db"),
  archiveDir: join(folder, "archive"),
  settings: () => ({ maxVersionBytes: null, cacheMaxItems: 100, cacheMaxBytes: 2 ** 30 }),
  logger,
});
// Told before the server is, which sends meanwhile.
registry.onChange((change) => {
  if (change.type !== "version-created" || change.info.modelId !== WATCHED_MODEL) return;
  process.send?.({ committedAtMs: Number(process.hrtime.bigint()) / 1e6 } satisfies Committed);
});
const server = await startRegistryServer({
  registry,
  host: "127.0.0.1",
  port: 0,
  settings: { reflection: false, sentVersionChunkBytes: CHUNK_BYTES },
  logger,
  clock: systemClock,
});
serveOrders(server.port);
process.once("SIGTERM", async () => {
  await server.stop(1_000);
  await close();
  process.exit(0);
});
