/** A registry in a process of its own, whose memory can be asked for. */
import { systemClock } from "../../../../core/runtime/clock.js";
import { createLogger } from "../../../../core/runtime/logger.js";
import { type RegistryServerLimits, startRegistryServer } from "../../../../sidecar/registry/grpc.js";
import { startRig } from "../local-rig.js";

export interface ServedOptions {
  readonly dataDir: string;
  readonly limits?: Partial<RegistryServerLimits>;
}

export interface ServedState {
  readonly memoryBytes: number;
  readonly open: { readonly connections: number; readonly calls: number; readonly watchers: number };
}

if (process.send !== undefined) {
  const { dataDir, limits = {} } = JSON.parse(process.argv[2]!) as ServedOptions;
  const { registry } = await startRig(dataDir);
  const server = await startRegistryServer({
    registry,
    host: "127.0.0.1",
    port: 0,
    settings: { reflection: true, sentVersionChunkBytes: 2 * 2 ** 20 },
    logger: createLogger({ level: "silent", format: "json", process: "test" }),
    clock: systemClock,
    limits,
  });
  process.on("disconnect", () => process.exit());
  process.on("message", () => {
    globalThis.gc?.();
    process.send!({ memoryBytes: process.memoryUsage.rss(), open: server.open } satisfies ServedState);
  });
  process.send({ port: server.port });
}
