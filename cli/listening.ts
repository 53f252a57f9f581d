/** Where Sluice listens: checked before anything starts, and written as people type it. */
import { createServer } from "node:net";
import type { Config } from "../config/schema.js";
import { CliError, EXIT } from "./exit.js";

/**
 * Tries every port the proxies will take, so that a taken one is said at once and nothing has to be stopped again.
 * @throws CliError naming the port and the setting
 */
export async function assertPortsFree(config: Config): Promise<void> {
  const { host, port, aliases } = config.proxy;
  await assertPortFree(host, port, "proxy.port (--port, SLUICE_PROXY_PORT)");
  for (const [index, alias] of aliases.entries()) {
    if (alias.port !== null) await assertPortFree(host, alias.port, `proxy.aliases[${index}].port`);
  }
}

function assertPortFree(host: string, port: number, setting: string): Promise<void> {
  if (port === 0) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", (caught: NodeJS.ErrnoException) => reject(explain(caught, host, port, setting)));
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve()));
  });
}

function explain(caught: NodeJS.ErrnoException, host: string, port: number, setting: string): CliError {
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
  const hint = "Name an address of this machine with proxy.host (--host, SLUICE_PROXY_HOST).";
  return new CliError(EXIT.failed, `${where}: ${caught.code ?? caught.message}`, { ...options, hint });
}

/** The URL under which this machine reaches a host and port listened on. */
export function urlOf(host: string, port: number): string {
  if (host === "0.0.0.0") return `http://127.0.0.1:${port}`;
  if (host === "::") return `http://[::1]:${port}`;
  return `http://${host.includes(":") ? `[${host}]` : host}:${port}`;
}
