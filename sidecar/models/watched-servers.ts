/** The servers of one source that somebody else runs: follows what the source finds, touching only what changed. */
import type { ModelServer, ServerDefinition } from "./server.js";

export interface FoundServer {
  /** Stays the same while it is the same run of the same server. */
  readonly id: string;
  readonly definition: ServerDefinition;
}

export interface WatchedServersOptions {
  /** Makes the server; it is begun here. */
  readonly create: (definition: ServerDefinition) => ModelServer;
  readonly onChange: () => void;
}

export class WatchedServers {
  readonly #options: WatchedServersOptions;
  readonly #servers = new Map<string, ModelServer>();

  constructor(options: WatchedServersOptions) {
    this.#options = options;
  }

  get servers(): ModelServer[] {
    return [...this.#servers.values()];
  }

  follow(found: readonly FoundServer[]): void {
    const wanted = new Map(found.map((each) => [each.id, each.definition]));
    for (const [id, server] of this.#servers) {
      const definition = wanted.get(id);
      if (definition !== undefined && isSamePlace(server.definition, definition)) server.adjust(definition);
      else this.#drop(id, server);
    }
    for (const [id, definition] of wanted) {
      if (this.#servers.has(id)) continue;
      const server = this.#options.create(definition);
      this.#servers.set(id, server);
      void server.begin();
    }
    this.#options.onChange();
  }

  #drop(id: string, server: ModelServer): void {
    this.#servers.delete(id);
    server.close();
  }

  close(): void {
    for (const [id, server] of this.#servers) this.#drop(id, server);
  }
}

function isSamePlace(one: ServerDefinition, other: ServerDefinition): boolean {
  return one.name === other.name && one.url === other.url && one.address === other.address;
}
