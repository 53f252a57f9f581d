/** The model registry as it runs in a process: its store, its log, its gRPC port, its place in a directory. Under the sidecar or alone. */
import { access, constants } from "node:fs/promises";
import { programVersion } from "../../config/files.js";
import { registryHostOf } from "../../config/load.js";
import type { Config } from "../../config/schema.js";
import { SluiceError } from "../../core/contract/errors.js";
import type { Clock } from "../../core/runtime/clock.js";
import type { Logger } from "../../core/runtime/logger.js";
import type { Registry as MetricsRegistry } from "../../core/runtime/metrics.js";
import { registrySettingsOf } from "../settings.js";
import type { Registration, RegistrationState } from "./directory/registration.js";
import type { RegistryServer } from "./grpc.js";
import { expectBigBuffers } from "./heap.js";
import { type OpenRegistry, openRegistry } from "./open-registry.js";
import { openRegistryLog, type RegistryLog } from "./registry-log.js";
import { createRegistryMetrics, type RegistryMetrics } from "./registry-metrics.js";

export interface RegistryServiceOptions {
  /** Asked whenever a setting is used: a reload takes effect at once. */
  readonly config: () => Config;
  readonly databaseFile: string;
  readonly archiveDir: string;
  /** Which process speaks in the log. */
  readonly process: string;
  readonly clock: Clock;
  /** The database's writer is dead: end the process with a non-zero code. */
  readonly onDeath: (error: Error) => void;
}

/** Where it listens. */
export interface Place {
  readonly host: string;
  readonly port: number;
}

export interface RegistryService extends Pick<OpenRegistry, "registry" | "importer" | "uploads"> {
  readonly logger: Logger;
  /**
   * Opens the port, then registers.
   * @param port 0: any free one
   * @param metrics where its metrics are kept from now on; null: nobody asks for them
   * @throws CONFIG_INVALID naming host and port
   */
  listen(port: number, metrics: MetricsRegistry | null): Promise<Place>;
  /** Rejects when it cannot be read or its archive cannot be written to. */
  probe(): Promise<void>;
  /** Null: it is to be in no directory. */
  registration(): RegistrationState | null;
  reconfigure(config: Config): void;
  /** Takes no more calls and leaves the directory; what is under way may end until the deadline (epoch ms). Idempotent. */
  stopServing(deadlineMs: number): Promise<void>;
  /** Everything else. Idempotent. */
  close(): Promise<void>;
}

/** For calls that are under way when the end comes. */
const SERVER_STOP_MS = 5_000;

/** @throws SluiceError when its database, archive or log file cannot be had; nothing is left open then */
export async function openRegistryService(options: RegistryServiceOptions): Promise<RegistryService> {
  const { config, databaseFile, archiveDir, process, clock, onDeath } = options;
  expectBigBuffers();
  // gRPC takes longest to load: meanwhile the database opens.
  const grpc = import("./grpc.js");
  grpc.catch(() => undefined);
  const log = await openRegistryLog({ config: config(), process, clock });
  try {
    const opened = await openRegistry({
      databaseFile,
      archiveDir,
      settings: () => registrySettingsOf(config()),
      clock,
      logger: log.logger,
      onDeath,
    });
    return new ServedRegistry({ options, log, opened, grpc: await grpc });
  } catch (caught) {
    await log.close();
    throw caught;
  }
}

interface Parts {
  readonly options: RegistryServiceOptions;
  readonly log: RegistryLog;
  readonly opened: OpenRegistry;
  readonly grpc: typeof import("./grpc.js");
}

class ServedRegistry implements RegistryService {
  readonly registry: OpenRegistry["registry"];
  readonly importer: OpenRegistry["importer"];
  readonly uploads: OpenRegistry["uploads"];
  readonly logger: Logger;
  readonly #parts: Parts;
  #metrics: RegistryMetrics | null = null;
  #server: RegistryServer | null = null;
  #registration: Registration | null = null;
  #stopped: Promise<void> | undefined;
  #closed: Promise<void> | undefined;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.registry = parts.opened.registry;
    this.importer = parts.opened.importer;
    this.uploads = parts.opened.uploads;
    this.logger = parts.log.logger.child("sidecar.registry");
  }

  async listen(port: number, metrics: MetricsRegistry | null): Promise<Place> {
    const { options, grpc, opened } = this.#parts;
    const { config, clock } = options;
    if (metrics !== null) {
      this.#metrics = createRegistryMetrics(metrics, {
        totals: opened.totals,
        open: () => this.#server?.open ?? { connections: 0, watchers: 0 },
        registration: () => this.registration(),
        onChange: (listener) => this.registry.onChange(listener),
      });
    }
    const settings = config().registry;
    const host = registryHostOf(settings);
    try {
      this.#server = await grpc.startRegistryServer({
        registry: this.registry,
        host: host === "::" ? null : host,
        port,
        settings: {
          reflection: settings.grpc_reflection,
          get sentVersionChunkBytes() {
            return config().registry.sent_version_chunk_size;
          },
        },
        logger: this.logger,
        clock,
        ...(this.#metrics === null ? {} : { metrics: this.#metrics }),
      });
    } catch (cause) {
      throw cannotListen(host, port, cause);
    }
    const place = { host, port: this.#server.port };
    this.logger.info({ event: "registry-listening", port: place.port }, "server listening");
    await this.#register(place);
    return place;
  }

  async #register({ host, port }: Place): Promise<void> {
    const { clock, config } = this.#parts.options;
    const settings = config().registry;
    if (settings.directory_endpoint === null) return;
    const [{ createDirectory }, { startRegistration }] = await Promise.all([
      import("./directory/directory.js"),
      import("./directory/registration.js"),
    ]);
    this.#registration = startRegistration({
      directory: createDirectory({
        endpoint: settings.directory_endpoint,
        token: settings.directory_authentication_token,
      }),
      place: { host: settings.directory_registration_host, listenHost: host, port },
      properties: settings.directory_registration_properties,
      version: programVersion(),
      clock,
      logger: this.logger,
    });
  }

  async probe(): Promise<void> {
    this.registry.models({ skip: 0, limit: 1 });
    await access(this.#parts.options.archiveDir, constants.R_OK | constants.W_OK);
  }

  registration(): RegistrationState | null {
    if (this.#parts.options.config().registry.directory_endpoint === null) return null;
    return this.#registration?.state() ?? { isRegistered: false, problem: null, registrations: 0 };
  }

  reconfigure(config: Config): void {
    this.#parts.log.reconfigure(config);
  }

  stopServing(deadlineMs: number): Promise<void> {
    this.#stopped ??= this.#stopServing(deadlineMs);
    return this.#stopped;
  }

  async #stopServing(deadlineMs: number): Promise<void> {
    this.logger.info({ event: "registry-stopping" }, "gracefully stopping the server");
    const { clock } = this.#parts.options;
    const drainMs = Math.max(0, Math.min(deadlineMs - clock.now(), SERVER_STOP_MS));
    await Promise.all([this.#registration?.stop(deadlineMs), this.#server?.stop(drainMs)]);
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    try {
      await this.stopServing(this.#parts.options.clock.now());
      await this.#parts.opened.close();
    } finally {
      this.#metrics?.close();
      await this.#parts.log.close();
    }
  }
}

function cannotListen(host: string, port: number, cause: unknown): SluiceError {
  const { code, message } = cause as NodeJS.ErrnoException;
  const why = code === "EADDRINUSE" ? `port ${port} is taken` : (code ?? message);
  return new SluiceError("CONFIG_INVALID", `the registry cannot listen on ${host}:${port}: ${why}`, {
    cause,
    hint: "registry.host and registry.port say where it listens.",
  });
}
