/** A client's request body on its way: chunk by chunk as it came, counted, never ended unless the client ended it. */
import type { IncomingMessage } from "node:http";
import { Readable } from "node:stream";

/** Up to here a body that arrived together with its head is handed on in one piece; it was in memory already. */
const ARRIVED_MAX_BYTES = 64 * 1024;

export type BodySource =
  | { readonly kind: "none" }
  | { readonly kind: "length"; readonly bytes: number }
  | { readonly kind: "chunked" };

/** How the request frames its body. Node's parser has refused contradictions by now. */
export function bodySourceOf(req: IncomingMessage): BodySource {
  const { headers } = req;
  if (headers["transfer-encoding"] !== undefined) return { kind: "chunked" };
  const length = headers["content-length"];
  if (length === undefined || length === "0") return { kind: "none" };
  return { kind: "length", bytes: Number(length) };
}

/** The whole body, if it came with the head and is small; else null, with nothing consumed. */
export function arrivedBody(req: IncomingMessage, bytes: number): Buffer | null {
  if (bytes > ARRIVED_MAX_BYTES) return null;
  return req.readableLength === bytes ? (req.read() as Buffer | null) : null;
}

export interface ClientBodyOptions {
  readonly maxBytes: number;
  /** Called for every chunk. */
  moved(): void;
  /** Called once when the body grows beyond `maxBytes`. */
  tooLarge(): void;
}

/**
 * Stands between the client's request and undici, which destroys what it is given when the answer comes early: the client's
 * connection must survive that. Each chunk that came is one chunk that goes (reference cms-api 5.3, rule 2).
 */
export class ClientBody extends Readable {
  readonly #req: IncomingMessage;
  readonly #options: ClientBodyOptions;
  #bytes = 0;
  #isWaiting = false;

  constructor(req: IncomingMessage, options: ClientBodyOptions) {
    super({ highWaterMark: 64 * 1024 });
    this.#req = req;
    this.#options = options;
    req.on("data", this.#onData).once("end", this.#onEnd);
    // A body cut short closes the connection too; whoever owns the exchange sees that. Unhandled it would end the process.
    req.on("error", () => {});
  }

  /** True while it waits for the client, not the model server. */
  get isWaiting(): boolean {
    return this.#isWaiting && !this.readableEnded;
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#bytes += chunk.length;
    this.#options.moved();
    if (this.#bytes > this.#options.maxBytes) {
      this.#options.tooLarge();
      return;
    }
    this.#isWaiting = this.push(chunk);
    if (!this.#isWaiting) this.#req.pause();
  };

  readonly #onEnd = (): void => {
    this.push(null);
  };

  override _read(): void {
    this.#isWaiting = true;
    this.#req.resume();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#req.off("data", this.#onData).off("end", this.#onEnd);
    callback(error);
  }
}
