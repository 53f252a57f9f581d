/** Where Sluice listens: checked before anything starts, and written as people type it. */
import { createServer } from "node:net";
import { registryHostOf } from "../config/load.js";
import type { Config } from "../config/schema.js";
import { CliError, EXIT } from "./exit.js";

const PROXY_HOST = "proxy.host (--host, SLUICE_PROXY_HOST)";

/**
 * Tries every port that will be taken, so that a taken one is said at once and nothing has to be stopped again.
 * @throws CliError naming the port and the setting
 */
export async function assertPortsFree(config: Config): Promise<void> {
  const { host, port, aliases } = config.proxy;
  await assertPortFree(host, port, "proxy.port (--port, SLUICE_PROXY_PORT)");
  for (const [index, alias] of aliases.entries()) {
    if (alias.port !== null) await assertPortFree(host, alias.port, `proxy.aliases[${index}].port`);
  }
  const doors = [port, ...aliases.map((alias) => alias.port)];
  if (config.registry.port !== 0 && doors.includes(config.registry.port)) {
    throw new CliError(EXIT.usage, `registry.port ${config.registry.port} is one of the proxy's ports`, {
      hint: `Choose another for one of them: ${REGISTRY_PORT}.`,
    });
  }
  await assertRegistryPortFree(config.registry);
}

const REGISTRY_PORT = "registry.port (SLUICE_REGISTRY_PORT, COGMENT_MODEL_REGISTRY_PORT)";

/** @throws CliError naming the port and the setting */
export function assertRegistryPortFree(registry: Config["registry"], setting = REGISTRY_PORT): Promise<void> {
  return assertPortFree(registryHostOf(registry), registry.port, setting, "registry.host (SLUICE_REGISTRY_HOST)");
}

function assertPortFree(host: string, port: number, setting: string, hostSetting = PROXY_HOST): Promise<void> {
  if (port === 0) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", (caught: NodeJS.ErrnoException) =>
      reject(explain(caught, { host, port, setting, hostSetting })),
    );
    // Where there is no IPv6, Node takes its own word for all addresses.
    server.listen({ ...(host === "::" ? {} : { host }), port, exclusive: true }, () => server.close(() => resolve()));
  });
}

interface Asked {
  readonly host: string;
  readonly port: number;
  readonly setting: string;
  readonly hostSetting: string;
}

function explain(caught: NodeJS.ErrnoException, { host, port, setting, hostSetting }: Asked): CliError {
  const where = `cannot listen on ${host}:${port}`;
  const options = { cause: caught };
  if (caught.code === "EADDRINUSE") {
    const hint = `Stop the program that holds it, or choose another port: ${setting}.`;
    return new CliError(EXIT.failed, `${where}: port ${port} is taken`, { ...options, hint });
  }
  if (caught.code === "EACCES") {
    const hint = `Ports below 1024 belong to root; choose another: ${setting}.`;
    return new CliError(EXIT.failed, `${where}: not allowed`, { ...options, hint });
  }
  const hint = `Name an address of this machine with ${hostSetting}.`;
  return new CliError(EXIT.failed, `${where}: ${caught.code ?? caught.message}`, { ...options, hint });
}

/** `host:port` under which this machine reaches a host and port listened on. */
export function addressOf({ host, port }: { readonly host: string; readonly port: number }): string {
  return urlOf(host === "::" ? "0.0.0.0" : host, port).slice("http://".length);
}

/** The URL under which this machine reaches a host and port listened on. */
export function urlOf(host: string, port: number): string {
  if (host === "0.0.0.0") return `http://127.0.0.1:${port}`;
  if (host === "::") return `http://[::1]:${port}`;
  return `http://${host.includes(":") ? `[${host}]` : host}:${port}`;
}
