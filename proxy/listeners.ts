/** The ports the proxy listens on: the main one, and one per port alias, opened and closed as the aliases change. */
import type http from "node:http";
import type { AddressInfo } from "node:net";
import type { Logger } from "../core/runtime/logger.js";

export interface ListenersOptions {
  readonly host: string;
  readonly logger: Logger;
  create(door: Door): http.Server;
}

/** One port. */
export interface Door {
  /** Of the alias, which may change while the port stays; null for the main port. */
  model: string | null;
}

interface AliasPort {
  readonly server: http.Server;
  readonly door: Door;
}

export class Listeners {
  readonly #options: ListenersOptions;
  readonly #servers = new Set<http.Server>();
  readonly #aliases = new Map<number, AliasPort>();
  #isClosed = false;

  constructor(options: ListenersOptions) {
    this.#options = options;
  }

  get aliasPorts(): ReadonlyMap<string, number> {
    const ports = new Map<string, number>();
    for (const { server, door } of this.#aliases.values()) {
      const address = server.address();
      if (address !== null && typeof address === "object") ports.set(String(door.model), address.port);
    }
    return ports;
  }

  /** Opens the main port. */
  async open(port: number): Promise<{ host: string; port: number }> {
    const server = this.#create({ model: null });
    await listen(server, port, this.#options.host);
    const { address, port: bound } = server.address() as AddressInfo;
    return { host: address, port: bound };
  }

  /** Makes the alias ports match. A port that cannot be had is logged and tried again with the next change. */
  async follow(wanted: ReadonlyMap<number, string>): Promise<void> {
    for (const [port, alias] of this.#aliases) {
      const model = wanted.get(port);
      if (model !== undefined) {
        alias.door.model = model;
        continue;
      }
      this.#aliases.delete(port);
      // Open connections finish what they are doing.
      alias.server.close(() => this.#servers.delete(alias.server));
      alias.server.closeIdleConnections();
    }
    await Promise.all([...wanted].map(([port, model]) => this.#openAlias(port, model)));
  }

  stopAccepting(): void {
    this.#isClosed = true;
    for (const server of this.#servers) server.close();
    this.closeIdle();
  }

  closeIdle(): void {
    for (const server of this.#servers) server.closeIdleConnections();
  }

  destroy(): void {
    for (const server of this.#servers) {
      server.close();
      server.closeAllConnections();
    }
  }

  async #openAlias(port: number, model: string): Promise<void> {
    if (this.#isClosed || this.#aliases.has(port)) return;
    const door = { model };
    const server = this.#create(door);
    this.#aliases.set(port, { server, door });
    try {
      await listen(server, port, this.#options.host);
    } catch (err) {
      this.#aliases.delete(port);
      this.#servers.delete(server);
      const { code } = err as { code?: string };
      this.#options.logger.error(
        { event: "alias-failed", model, port, code: code ?? "unknown" },
        "a port alias cannot be opened",
      );
    }
  }

  #create(door: Door): http.Server {
    const server = this.#options.create(door);
    this.#servers.add(server);
    return server;
  }
}

function listen(server: http.Server, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => {
      server.off("error", reject);
      resolve();
    });
  });
}
