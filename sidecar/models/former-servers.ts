/**
 * Servers of managed models that are the present ones no more: replaced and still in use, given up before they came to be it, or found
 * where an earlier sidecar left them. Each is ended, whatever it takes, and its place is taken until then.
 */
import type { Clock } from "../../core/runtime/clock.js";
import type { Logger } from "../../core/runtime/logger.js";
import type { ManagedServer } from "./managed-server.js";

export interface FormerServersOptions {
  /** See {@link Holds.replaced}. */
  readonly replaced: (managed: ManagedServer) => void;
  /** One of this model has gone. */
  readonly onGone: (name: string) => void;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Bound on one try to end one. */
const END_MS = 15_000;
/** Between two tries where a driver refuses. */
const RETRY_MS = 10_000;

export class FormerServers {
  readonly #options: FormerServersOptions;
  readonly #all = new Set<ManagedServer>();
  readonly #ending = new Map<ManagedServer, Promise<void>>();
  readonly #closed = new AbortController();
  readonly #watchers = new Set<() => void>();

  constructor(options: FormerServersOptions) {
    this.#options = options;
  }

  get all(): readonly ManagedServer[] {
    return [...this.#all];
  }

  of(name: string): ManagedServer[] {
    return this.all.filter(({ server }) => server.name === name);
  }

  /** It has been replaced: what had begun on it goes on, then it is ended. */
  drain(managed: ManagedServer): void {
    this.#all.add(managed);
    const { server } = managed;
    const isUp = server.state === "ready" || server.state === "unreachable";
    if (!isUp) {
      this.end(managed);
      return;
    }
    this.#options.replaced(managed);
    server.drain();
  }

  /** Nothing uses it. */
  end(managed: ManagedServer): void {
    this.#all.add(managed);
    managed.server.close();
    this.#finish(managed);
  }

  /** Looks for one that an earlier sidecar left; whatever answers there may be in use. */
  find(managed: ManagedServer): void {
    this.#all.add(managed);
    managed.begin(() => {
      if (managed.server.state === "absent") {
        managed.server.close();
        return this.#drop(managed);
      }
      this.#options.logger.info(
        { event: "former_found", model: managed.server.name, version: managed.uri },
        "a model server that is the present one no more was found and is ended once nothing uses it",
      );
      this.#options.replaced(managed);
      managed.server.drain();
    });
  }

  /** To be called after changes of a server. */
  settle(): void {
    for (const managed of this.#all) if (managed.isDown) this.#finish(managed);
  }

  #finish(managed: ManagedServer): void {
    if (this.#ending.has(managed) || this.#closed.signal.aborted) return;
    this.#ending.set(
      managed,
      this.#end(managed).finally(() => this.#ending.delete(managed)),
    );
  }

  /** Its own end is only the program's: what is left of it goes too, and a driver that refused is asked again. */
  async #end(managed: ManagedServer): Promise<void> {
    const { clock, logger } = this.#options;
    while (!this.#closed.signal.aborted) {
      try {
        await managed.driver.stop(clock.now() + END_MS);
        managed.server.close();
        return this.#drop(managed);
      } catch (cause) {
        logger.warn(
          { model: managed.server.name, err: cause },
          "a former model server cannot be ended; it is tried again",
        );
        await clock.sleep(RETRY_MS, this.#closed.signal);
      }
    }
  }

  #drop(managed: ManagedServer): void {
    this.#all.delete(managed);
    for (const look of this.#watchers) look();
    this.#options.onGone(managed.server.name);
  }

  /** @returns whether all of this model have ended within the bound */
  async gone(name: string, boundMs: number): Promise<boolean> {
    if (this.of(name).length === 0) return true;
    const over = new AbortController();
    const look = () => {
      if (this.of(name).length === 0) over.abort();
    };
    this.#watchers.add(look);
    await this.#options.clock.sleep(boundMs, over.signal);
    this.#watchers.delete(look);
    return over.signal.aborted;
  }

  /** No end is tried again from now on. */
  close(): void {
    this.#closed.abort();
  }
}
