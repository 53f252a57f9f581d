/**
 * One proxy as a process of its own, alone (`sluice proxy`) or as a supervised child.
 *
 * | message | direction | meaning |
 * | --- | --- | --- |
 * | `{type:"ready", address}` | to the supervisor | it serves |
 * | `{type:"following"}` | to the supervisor | the sidecar's first route table has come |
 * | `{type:"metrics-get", id}` → `{type:"metrics", id, metrics}` | supervisor asks | this process's metrics |
 * | `{type:"metrics-all", id}` → `{type:"metrics-all", id, text}` | this process asks | the sum over all processes |
 */
import type { Config } from "../config/schema.js";
import { createLogger, type Logger } from "../core/runtime/logger.js";
import { createProxy, type Proxy as RunningProxy } from "./server.js";

export interface ProxyProcessOptions {
  readonly config: Config;
  /** The sidecar's Unix socket. */
  readonly socketPath: string;
  /** Default: `proxy.host` and `proxy.port` of the configuration. */
  readonly listen?: { readonly host: string; readonly port: number };
}

/** What the signal handlers leave to the process's end. */
const EXIT = { clean: 0, forced: 1 };
/** Over the drain's own bound, for closing what is left. */
const BACKSTOP_MS = 5_000;

/** Serves until a signal or the supervisor's end; the process exits then. */
export async function runProxy(options: ProxyProcessOptions): Promise<RunningProxy> {
  const { config, socketPath } = options;
  const logger = createLogger({ ...config.log, process: "proxy" });
  const supervisor = process.send === undefined ? null : new Supervisor();
  const proxy = await createProxy({
    config,
    logger,
    socketPath,
    listen: options.listen ?? { host: config.proxy.host, port: config.proxy.port },
    ...(supervisor === null ? {} : { metricsOfAll: () => supervisor.metricsOfAll() }),
  });
  endOnSignals(proxy, config.proxy.timeouts.drain, logger);
  supervisor?.serve(proxy);
  logger.info({ event: "listening", host: proxy.address.host, port: proxy.address.port }, "proxy listens");
  return proxy;
}

/** The first SIGTERM or SIGINT drains, a second one forces. */
function endOnSignals(proxy: RunningProxy, drainMs: number, logger: Logger): void {
  let isEnding = false;
  const end = () => {
    if (isEnding) process.exit(EXIT.forced);
    isEnding = true;
    logger.info({ event: "draining" }, "finishing what is in flight");
    setTimeout(() => process.exit(EXIT.forced), drainMs + BACKSTOP_MS).unref();
    proxy.stop(Date.now() + drainMs).then(
      () => process.exit(EXIT.clean),
      (err: unknown) => {
        logger.error({ event: "stop-failed", err }, "not everything stopped cleanly");
        process.exit(EXIT.forced);
      },
    );
  };
  process.on("SIGTERM", end);
  process.on("SIGINT", end);
}

/** The other end of the IPC channel. */
class Supervisor {
  readonly #asked = new Map<number, (text: string) => void>();
  #lastId = 0;

  serve(proxy: RunningProxy): void {
    process.on("message", (message: { type?: string; id?: number; text?: string } | null) => {
      if (message?.type === "metrics-get") this.#send({ type: "metrics", id: message.id, metrics: proxy.metrics() });
      else if (message?.type === "metrics-all" && typeof message.id === "number") {
        this.#asked.get(message.id)?.(String(message.text));
        this.#asked.delete(message.id);
      }
    });
    // A child without its supervisor would hold the port against the next one.
    process.on("disconnect", () => process.exit(EXIT.forced));
    this.#send({ type: "ready", address: proxy.address });
    void proxy.whenFollowing().then(() => this.#send({ type: "following" }));
  }

  /** The caller bounds the wait. */
  metricsOfAll(): Promise<string> {
    this.#lastId += 1;
    const id = this.#lastId;
    const answered = new Promise<string>((resolve) => this.#asked.set(id, resolve));
    // Questions nobody answered do not pile up.
    setTimeout(() => this.#asked.delete(id), 10_000).unref();
    this.#send({ type: "metrics-all", id });
    return answered;
  }

  #send(message: object): void {
    process.send?.(message, undefined, undefined, () => {});
  }
}
