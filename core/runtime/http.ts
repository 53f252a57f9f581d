/** A small HTTP client for calls between our own parts and for readiness probes; the light path has its own (`proxy/forward/http.ts`). */
import type { Readable } from "node:stream";
import { Agent } from "undici";

export interface HttpCall {
  readonly method: "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** `http://host:port`; any host does where the client speaks over a Unix socket. */
  readonly origin: string;
  readonly path: string;
  readonly headers?: Record<string, string> | readonly string[];
  readonly body?: string | Buffer | Readable;
  /** Bound on the wait for the answer's headers. Default 30_000; 0 waits for ever. */
  readonly headersTimeoutMs?: number;
  /** Bound on silence inside the answer's body. Default 30_000; 0 waits for ever. */
  readonly bodyTimeoutMs?: number;
  readonly signal?: AbortSignal;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Record<string, string | string[] | undefined>;
  readonly body: Readable & { text(): Promise<string>; json(): Promise<unknown>; dump(): Promise<void> };
}

export interface HttpClient {
  call(call: HttpCall): Promise<HttpAnswer>;
  close(): Promise<void>;
}

export interface HttpClientOptions {
  /** Speak over this Unix socket whatever the origin says. */
  readonly socketPath?: string;
  /** Bound on connecting. Default 5_000. */
  readonly connectTimeoutMs?: number;
  /** Connections kept per origin. Default unlimited. */
  readonly connections?: number;
  /** Certificates (PEM) trusted for https in place of Node's own list; certificates are always checked. */
  readonly ca?: string;
}

/** Where a call goes that is made below a base URL, which may end in a path. */
export function below(baseUrl: string, path: string): { origin: string; path: string } {
  const { origin, pathname } = new URL(baseUrl);
  return { origin, path: `${pathname.replace(/\/+$/, "")}${path}` };
}

/**
 * The whole body as text.
 * @throws Error when it is longer than `maxBytes`; the connection is let go
 */
export async function readText(body: HttpAnswer["body"], maxBytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBytes) throw new Error(`the answer is longer than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

export function createHttpClient(options: HttpClientOptions = {}): HttpClient {
  const trusted = options.ca === undefined ? {} : { ca: options.ca };
  const connect = { timeout: options.connectTimeoutMs ?? 5_000, ...trusted };
  const agent = new Agent({
    connect: options.socketPath === undefined ? connect : { ...connect, socketPath: options.socketPath },
    connections: options.connections ?? null,
    pipelining: 1,
    // A stored answer's whole header block, up to 64 KiB, travels in one header between sidecar and proxy: as JSON, in base64.
    maxHeaderSize: 256 * 1024,
    keepAliveTimeout: 4_000,
    keepAliveMaxTimeout: 4_000,
  });
  return {
    async call(call) {
      const answer = await agent.request({
        origin: call.origin,
        path: call.path,
        method: call.method,
        headers: (call.headers as Record<string, string> | string[] | undefined) ?? null,
        body: call.body ?? null,
        headersTimeout: call.headersTimeoutMs ?? 30_000,
        bodyTimeout: call.bodyTimeoutMs ?? 30_000,
        ...(call.signal === undefined ? {} : { signal: call.signal }),
      });
      return {
        status: answer.statusCode,
        headers: answer.headers,
        body: answer.body as unknown as HttpAnswer["body"],
      };
    },
    close: () => agent.destroy(),
  };
}
