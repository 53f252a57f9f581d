/** The model registry on gRPC, for clients of Cogment's: the port, the nine calls, and how they end. */
import { Server, ServerCredentials } from "@grpc/grpc-js";
import type { Clock } from "../../core/runtime/clock.js";
import type { Logger } from "../../core/runtime/logger.js";
import { Calls, type EndedCall } from "./grpc/calls.js";
import { type Connections, listen } from "./grpc/connections.js";
import { sendVersionData } from "./grpc/downloads.js";
import { ReplyBudget } from "./grpc/growing-reply.js";
import { Line } from "./grpc/line.js";
import { createOrUpdateModel, deleteModel, retrieveModels } from "./grpc/models.js";
import { pace } from "./grpc/pacing.js";
import { createVersion } from "./grpc/uploads.js";
import { retrieveVersionInfos } from "./grpc/versions.js";
import { Watchers } from "./grpc/watchers.js";
import { encodeReply, packageDefinition, service } from "./grpc/wire.js";
import type { Registry } from "./registry.js";

export interface RegistryServerSettings {
  /** Offer reflection, v1 and v1alpha. */
  readonly reflection: boolean;
  /** Bytes per piece of a version sent. */
  readonly sentVersionChunkBytes: number;
}

export interface RegistryServerLimits {
  /** A client that neither sends nor takes anything of what is under way for so long is given up. */
  readonly idleMs: number;
  /** A connection on which nothing is asked for so long is pinged; without an answer in time it is closed. */
  readonly keepaliveMs: number;
  readonly keepaliveTimeoutMs: number;
  readonly maxConnections: number;
  readonly maxStreamsPerConnection: number;
  readonly maxWatchers: number;
  /** Versions sent at a time; the others wait their turn. */
  readonly maxDownloads: number;
  /** Of all listings that wait to be taken. */
  readonly maxReplyBytes: number;
}

const LIMITS: RegistryServerLimits = {
  idleMs: 60_000,
  keepaliveMs: 20_000,
  keepaliveTimeoutMs: 20_000,
  maxConnections: 10_000,
  maxStreamsPerConnection: 10_000,
  maxWatchers: 50_000,
  maxDownloads: 64,
  maxReplyBytes: 256 * 2 ** 20,
};

/** For handlers whose connections are gone. */
const MAX_ENDING_MS = 5_000;

/** Whole messages; fixed by the contract. */
const MAX_MESSAGE_BYTES = 4 * 2 ** 20;

export interface RegistryServerMetrics {
  callEnded(call: EndedCall): void;
}

export interface RegistryServerOptions {
  readonly registry: Registry;
  /** Null: all addresses of this machine. */
  readonly host: string | null;
  /** 0: any free one. */
  readonly port: number;
  readonly settings: RegistryServerSettings;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly metrics?: RegistryServerMetrics;
  readonly limits?: Partial<RegistryServerLimits>;
}

export interface RegistryServer {
  /** As bound: an address. */
  readonly host: string;
  readonly port: number;
  /** What is open at this moment. */
  readonly open: {
    readonly connections: number;
    /** Under way, watchers included. */
    readonly calls: number;
    readonly watchers: number;
  };
  /**
   * Takes no new calls, ends the streams of those who wait for versions, lets the others end, and closes what is left after that.
   * The registry stays open. Idempotent.
   * @param drainMs how long the others may take; 0: no time
   */
  stop(drainMs: number): Promise<void>;
}

/** @throws what listening throws, with its `code` (EADDRINUSE, EACCES, …) */
export async function startRegistryServer(options: RegistryServerOptions): Promise<RegistryServer> {
  const limits = { ...LIMITS, ...options.limits };
  const { registry, clock } = options;
  const watchers = new Watchers({ registry, clock, maxWatchers: limits.maxWatchers });
  let connections: Connections;
  const calls = new Calls({
    clock,
    logger: options.logger,
    connections: () => connections,
    idleMs: limits.idleMs,
    onEnded: (call) => options.metrics?.callEnded(call),
  });
  const server = grpcServer(limits);
  server.addService(service, handlers({ options, limits, calls, watchers }));
  if (options.settings.reflection) {
    // Loaded for those alone who want it.
    const { ReflectionService } = await import("@grpc/reflection");
    new ReflectionService(packageDefinition).addToServer(server);
  }
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  try {
    connections = await listen({
      ...options,
      maxConnections: limits.maxConnections,
      onConnection: (socket) => injector.injectConnection(socket),
    });
  } catch (error) {
    watchers.close();
    server.forceShutdown();
    throw error;
  }
  let stopped: Promise<void> | null = null;
  return {
    host: connections.host,
    port: connections.port,
    get open() {
      return { connections: connections.count, calls: calls.count, watchers: watchers.count };
    },
    stop(drainMs) {
      stopped ??= stop({ server, calls, watchers, connections, clock }, drainMs);
      return stopped;
    },
  };
}

function grpcServer(limits: RegistryServerLimits): Server {
  return new Server({
    "grpc.max_receive_message_length": MAX_MESSAGE_BYTES,
    "grpc.max_concurrent_streams": limits.maxStreamsPerConnection,
    "grpc.keepalive_time_ms": limits.keepaliveMs,
    "grpc.keepalive_timeout_ms": limits.keepaliveTimeoutMs,
    "grpc.enable_channelz": 0,
    interceptors: [pace],
  });
}

interface Parts {
  readonly options: RegistryServerOptions;
  readonly limits: RegistryServerLimits;
  readonly calls: Calls;
  readonly watchers: Watchers;
}

function handlers({ options, limits, calls, watchers }: Parts) {
  const { registry, clock, settings } = options;
  const budget = new ReplyBudget(limits.maxReplyBytes);
  const downloads = new Line(limits.maxDownloads);
  const load = () => Math.max(registry.load, downloads.load, watchers.count / limits.maxWatchers);
  return {
    CreateOrUpdateModel: calls.unary("CreateOrUpdateModel", (request) => createOrUpdateModel(registry, request)),
    DeleteModel: calls.unary("DeleteModel", (request) => deleteModel(registry, request)),
    RetrieveModels: calls.unary("RetrieveModels", (request, signal) =>
      retrieveModels(registry, request, { budget, clock, signal }),
    ),
    CreateVersion: calls.upload((messages) => createVersion(registry, messages)),
    RetrieveVersionInfos: calls.unary("RetrieveVersionInfos", (request, signal) =>
      retrieveVersionInfos(registry, request, { budget, clock, signal }),
    ),
    RetrieveVersionData: calls.replies("RetrieveVersionData", async (request, replies) => {
      const leave = await downloads.enter(replies.signal);
      try {
        const { signal, send } = replies;
        await sendVersionData(registry, request, { signal, send, chunkBytes: settings.sentVersionChunkBytes });
      } finally {
        leave?.();
      }
    }),
    VersionUpdate: calls.replies("VersionUpdate", (request, replies) => watchers.watch(request.model_id, replies)),
    Version: calls.unary("Version", async () => encodeReply("Version", {})),
    Status: calls.unary("Status", async ({ names }) => encodeReply("Status", { statuses: statuses(names, load()) })),
  };
}

/** @param load 0 to 1; told as a percentage */
function statuses(names: readonly string[], load: number): Record<string, string> {
  return names.includes("*") || names.includes("overall_load") ? { overall_load: String(Math.round(100 * load)) } : {};
}

interface Running {
  readonly server: Server;
  readonly calls: Calls;
  readonly watchers: Watchers;
  readonly connections: Connections;
  readonly clock: Clock;
}

async function stop({ server, calls, watchers, connections, clock }: Running, drainMs: number): Promise<void> {
  connections.refuse();
  calls.refuse();
  watchers.close();
  const inTime = new AbortController();
  const drained = new Promise<void>((resolve) => server.tryShutdown(() => resolve())).then(() => calls.settled());
  await Promise.race([drained, clock.sleep(drainMs, inTime.signal)]);
  inTime.abort();
  server.forceShutdown();
  await connections.close();
  // Without their connections they end at once; one that the disk holds up is the registry's to end.
  const enough = new AbortController();
  await Promise.race([calls.settled(), clock.sleep(MAX_ENDING_MS, enough.signal)]);
  enough.abort();
}
