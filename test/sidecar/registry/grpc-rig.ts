/** A registry on real files that speaks gRPC on a free port, and a client of it. */

import { systemClock } from "../../../core/runtime/clock.js";
import { createLogger } from "../../../core/runtime/logger.js";
import { type RegistryServer, type RegistryServerLimits, startRegistryServer } from "../../../sidecar/registry/grpc.js";
import type { Registry, RegistrySettings } from "../../../sidecar/registry/registry.js";
import { makeFolder } from "../../helpers/folder.js";
import type { Teardown } from "../../helpers/gazetteer.js";
import { connectRegistry, type RegistryClient } from "../../helpers/registry-client.js";
import { type Rig, startRig } from "./local-rig.js";

export interface RigOptions {
  /** Default: a new one. */
  readonly dataDir?: string;
  readonly port?: number;
  readonly reflection?: boolean;
  readonly chunkBytes?: number;
  readonly limits?: Partial<RegistryServerLimits>;
  readonly settings?: Partial<RegistrySettings>;
}

export interface RegistryRig {
  readonly registry: Registry;
  readonly server: RegistryServer;
  readonly client: RegistryClient;
  readonly dataDir: string;
  readonly archiveDir: string;
  /** As a stop of the process does it. */
  close(): Promise<void>;
}

export async function startRegistry(t: Teardown, options: RigOptions = {}): Promise<RegistryRig> {
  const rig = await startRig(options.dataDir ?? makeFolder(t), {
    settings: { cacheMaxBytes: 2 ** 30, ...options.settings },
  });
  try {
    const server = await serve(rig, options);
    const close = async () => {
      await server.stop(0);
      await rig.close();
    };
    t.teardown(close);
    const { registry, dataDir, archiveDir } = rig;
    return { registry, dataDir, archiveDir, server, client: connectRegistry(t, server), close };
  } catch (error) {
    await rig.close();
    throw error;
  }
}

function serve({ registry }: Rig, options: RigOptions): Promise<RegistryServer> {
  return startRegistryServer({
    registry,
    host: "127.0.0.1",
    port: options.port ?? 0,
    settings: { reflection: options.reflection ?? false, sentVersionChunkBytes: options.chunkBytes ?? 2 * 2 ** 20 },
    logger: createLogger({ level: "silent", format: "json", process: "test" }),
    clock: systemClock,
    ...(options.limits === undefined ? {} : { limits: options.limits }),
  });
}
