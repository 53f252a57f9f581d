/** A registry that speaks gRPC on a free port, and a client of it. */

import { systemClock } from "../../../core/runtime/clock.js";
import { createLogger } from "../../../core/runtime/logger.js";
import { type RegistryServer, type RegistryServerLimits, startRegistryServer } from "../../../sidecar/registry/grpc.js";
import type { Registry } from "../../../sidecar/registry/registry.js";
import type { Teardown } from "../../helpers/gazetteer.js";
import { connectRegistry, type RegistryClient } from "../../helpers/registry-client.js";
import { memoryRegistry } from "./memory-registry.js";

export interface RigOptions {
  readonly reflection?: boolean;
  readonly chunkBytes?: number;
  readonly limits?: Partial<RegistryServerLimits>;
}

export interface RegistryRig {
  readonly registry: Registry;
  readonly server: RegistryServer;
  readonly client: RegistryClient;
}

export async function startRegistry(t: Teardown, options: RigOptions = {}): Promise<RegistryRig> {
  const registry = memoryRegistry();
  const server = await startRegistryServer({
    registry,
    host: "127.0.0.1",
    port: 0,
    settings: { reflection: options.reflection ?? false, sentVersionChunkBytes: options.chunkBytes ?? 2 * 2 ** 20 },
    logger: createLogger({ level: "error", format: "json", process: "test" }),
    clock: systemClock,
    ...(options.limits === undefined ? {} : { limits: options.limits }),
  });
  t.teardown(() => server.stop(0));
  return { registry, server, client: connectRegistry(t, server) };
}
