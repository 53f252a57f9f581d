import { createHash, type Hash } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { refuseWithDetail, refuseWithMessage } from "./errors.js";
import type { Service } from "./service.js";

/** A handler's answer. A body that is an iterable is sent in pieces as they come, with back-pressure. */
export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer | AsyncIterable<Buffer>;
}

export function replyJson(status: number, value: unknown, headers: Record<string, string> = {}): Reply {
  return {
    status,
    headers: { "content-type": "application/json", ...headers },
    body: Buffer.from(JSON.stringify(value)),
  };
}

export function replyText(status: number, text: string, headers: Record<string, string> = {}): Reply {
  return { status, headers: { "content-type": "text/plain; charset=utf-8", ...headers }, body: Buffer.from(text) };
}

/** A file download the way CMS sends one: computed whole, then sent in pieces, with its odd space before the semicolon. */
export function replyFile(content: string, contentType: string, fileName: string): Reply {
  const headers = { "content-type": contentType, "content-disposition": `attachment ; filename="${fileName}"` };
  return { status: 200, headers, body: inPieces(Buffer.from(content)) };
}

/** Cuts a buffer into pieces of at most `maxBytes` (default 64 KiB). */
export async function* inPieces(content: Buffer, maxBytes = 65_536): AsyncGenerator<Buffer> {
  for (let at = 0; at < content.length; at += maxBytes) yield content.subarray(at, at + maxBytes);
}

/** One request and what is known about it. The only way to read the body, so that its hash is always known. */
export class Call {
  bytesRead = 0;
  bodyEnded = false;
  readonly #hash: Hash = createHash("sha256");
  #digest: string | null = null;
  #logged = false;

  constructor(
    readonly request: IncomingMessage,
    readonly response: ServerResponse,
    readonly service: Service,
    readonly path: string,
    readonly query: URLSearchParams,
  ) {}

  header(name: string): string | undefined {
    const value = this.request.headers[name];
    return Array.isArray(value) ? value[0] : value;
  }

  /** Hex SHA-256 of the body, null until all of it was read. */
  get bodySha256(): string | null {
    if (this.bodyEnded) this.#digest ??= this.#hash.digest("hex");
    return this.#digest;
  }

  /** The body as it arrives. Memory stays flat however long it is. */
  async *chunks(): AsyncGenerator<Buffer> {
    // A refusal half-way still has to reach the caller, so leaving the loop must not destroy the connection.
    for await (const chunk of this.request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      this.bytesRead += chunk.length;
      this.#hash.update(chunk);
      yield chunk;
    }
    this.bodyEnded = true;
    this.log();
  }

  /** The whole body. @throws 413 D beyond `--max-body-bytes`. */
  async readBody(): Promise<Buffer> {
    const chunks: Buffer[] = [];
    for await (const chunk of this.limitedChunks()) chunks.push(chunk);
    return Buffer.concat(chunks);
  }

  /** As {@link chunks}, but no longer than `--max-body-bytes`. */
  async *limitedChunks(): AsyncGenerator<Buffer> {
    const { maxBodyBytes } = this.service.options;
    for await (const chunk of this.chunks()) {
      if (this.bytesRead > maxBodyBytes)
        throw refuseWithDetail(413, `Request body is larger than ${maxBodyBytes} bytes`);
      yield chunk;
    }
  }

  /** Puts this request in the log, once: when its body was read to the end, or else when it is over. */
  log(): void {
    if (this.#logged || this.path.startsWith("/misbehave/")) return;
    this.#logged = true;
    this.service.requests.add({
      method: this.request.method ?? "",
      url: this.request.url ?? "",
      requestId: this.header("x-request-id") ?? null,
      trackingId: this.query.get("tracking_id"),
      sha256: this.bodySha256,
      bytes: this.bytesRead,
    });
  }

  /** Reads what is left of the body and forgets it. */
  async drain(): Promise<void> {
    if (this.bodyEnded) return;
    for await (const _chunk of this.chunks());
  }
}

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** @throws 500 N where the bytes are not UTF-8, as CMS does. */
export function decodeUtf8(bytes: Buffer): string {
  try {
    return UTF8.decode(bytes);
  } catch {
    throw refuseWithMessage(500, "'utf-8' codec can't decode the request body: invalid bytes");
  }
}
