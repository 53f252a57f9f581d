import { once } from "node:events";
import { PassThrough } from "node:stream";

/** CMS's: a stream without an event for so long is closed, or gets a comment when the client asked to keep it. */
const IDLE_MS = 300_000;

interface Listener {
  readonly stream: PassThrough;
  readonly idle: NodeJS.Timeout;
}

/** Who listens, by client id. Two connections of one id share the events, each getting every other. */
export class EventHub {
  readonly #listeners = new Map<string, readonly Listener[]>();

  /** @returns what to send to the client; destroy it when the client is gone */
  open(clientId: string, keepAlive: boolean): PassThrough {
    const stream = new PassThrough();
    const idle = setInterval(() => (keepAlive ? stream.write(": keepalive\n\n") : stream.end()), IDLE_MS);
    const listener = { stream, idle };
    stream.once("close", () => {
      clearInterval(idle);
      this.#forget(clientId, listener);
    });
    this.#listeners.set(clientId, [...(this.#listeners.get(clientId) ?? []), listener]);
    stream.write(": connected\n\n");
    return stream;
  }

  has(clientId: string): boolean {
    return this.#listeners.has(clientId);
  }

  /** Resolves when the listener can take more; an event without a listener is lost. */
  async send(clientId: string, event: unknown): Promise<void> {
    const [next, ...others] = this.#listeners.get(clientId) ?? [];
    if (next === undefined || next.stream.writableEnded) return;
    this.#listeners.set(clientId, [...others, next]);
    next.idle.refresh();
    if (next.stream.write(`data: ${JSON.stringify(event)}\n\n`)) return;
    const settled = new AbortController();
    const { signal } = settled;
    const room = Promise.race([once(next.stream, "drain", { signal }), once(next.stream, "close", { signal })]);
    await room.finally(() => settled.abort());
  }

  closeAll(): void {
    for (const { stream } of [...this.#listeners.values()].flat()) stream.end();
  }

  #forget(clientId: string, listener: Listener): void {
    const left = (this.#listeners.get(clientId) ?? []).filter((other) => other !== listener);
    if (left.length > 0) this.#listeners.set(clientId, left);
    else this.#listeners.delete(clientId);
  }
}
