/** A proxy on a free port before real servers, and raw sockets to speak to it byte by byte. */
import { once } from "node:events";
import http from "node:http";
import net from "node:net";
import type { Test } from "tap";
import { type ConfigInput, configSchema } from "../../config/schema.js";
import { createLogger } from "../../core/runtime/logger.js";
import { createProxy, type Proxy as RunningProxy } from "../../proxy/server.js";

export interface Rig {
  readonly proxy: RunningProxy;
  readonly port: number;
  readonly url: string;
}

export interface RigOptions {
  readonly config?: ConfigInput;
  readonly socketPath?: string;
  readonly routeSilenceMs?: number;
  readonly metricsOfAll?: () => Promise<string>;
}

export async function startProxy(t: Test, options: RigOptions = {}): Promise<Rig> {
  const config = configSchema.parse(options.config ?? {});
  const proxy = await createProxy({
    config,
    logger: createLogger({ level: "silent", format: "json", process: "test" }),
    socketPath: options.socketPath ?? `${t.testdir()}/absent.sock`,
    listen: { host: "127.0.0.1", port: 0 },
    ...(options.routeSilenceMs === undefined ? {} : { routeSilenceMs: options.routeSilenceMs }),
    ...(options.metricsOfAll === undefined ? {} : { metricsOfAll: options.metricsOfAll }),
  });
  t.teardown(() => proxy.stop(Date.now()));
  const { port } = proxy.address;
  return { proxy, port, url: `http://127.0.0.1:${port}` };
}

/** A proxy before one static model `m`. */
export function startBefore(t: Test, upstream: { port: number }, config: ConfigInput = {}): Promise<Rig> {
  const url = `http://127.0.0.1:${upstream.port}`;
  return startProxy(t, { config: { ...config, discovery: { static: [{ name: "m", url }] } } });
}

export interface Upstream {
  readonly port: number;
  readonly server: http.Server;
}

export async function startHttp(t: Test, handle: http.RequestListener): Promise<Upstream> {
  const server = http.createServer({ keepAliveTimeout: 60_000 }, handle);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.teardown(() => {
    server.close();
    server.closeAllConnections();
  });
  return { port: (server.address() as net.AddressInfo).port, server };
}

export interface RawServer {
  readonly port: number;
  /** Connections so far. */
  readonly sockets: net.Socket[];
}

/** A server that speaks whatever the test says. */
export async function startRaw(t: Test, handle: (socket: net.Socket, index: number) => void): Promise<RawServer> {
  const sockets: net.Socket[] = [];
  const server = net.createServer((socket) => {
    socket.on("error", () => {});
    sockets.push(socket);
    handle(socket, sockets.length - 1);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { port: (server.address() as net.AddressInfo).port, sockets };
}

/** A client's connection; everything received is kept as Latin-1 text. */
export class RawClient {
  readonly socket: net.Socket;
  text = "";
  isEnded = false;
  isClosed = false;
  error: NodeJS.ErrnoException | null = null;

  constructor(t: Test, port: number) {
    this.socket = net.connect(port, "127.0.0.1");
    this.socket.on("data", (chunk: Buffer) => {
      this.text += chunk.toString("latin1");
    });
    this.socket.on("end", () => {
      this.isEnded = true;
    });
    this.socket.on("close", () => {
      this.isClosed = true;
    });
    this.socket.on("error", (error) => {
      this.error = error;
    });
    t.teardown(() => this.socket.destroy());
  }

  send(text: string | Buffer): this {
    this.socket.write(typeof text === "string" ? Buffer.from(text, "latin1") : text);
    return this;
  }

  /** Resolves with everything so far once it matches. */
  async until(pattern: RegExp | string, timeoutMs = 5_000): Promise<string> {
    await poll(
      () => (typeof pattern === "string" ? this.text.includes(pattern) : pattern.test(this.text)),
      `'${pattern}' in ${JSON.stringify(this.text)}`,
      timeoutMs,
    );
    return this.text;
  }

  async closed(timeoutMs = 5_000): Promise<string> {
    await poll(() => this.isClosed, `the connection's end after ${JSON.stringify(this.text.slice(0, 500))}`, timeoutMs);
    return this.text;
  }
}

/** Waits for a condition, never longer than the bound. */
export async function poll(isTrue: () => boolean, what: string, timeoutMs = 5_000): Promise<void> {
  const end = Date.now() + timeoutMs;
  while (!isTrue()) {
    if (Date.now() > end) throw new Error(`waited ${timeoutMs} ms for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

export interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly rawHeaders: string[];
  readonly body: string;
  readonly isComplete: boolean;
}

export interface Call {
  readonly method?: string;
  readonly headers?: http.OutgoingHttpHeaders;
  readonly body?: string | Buffer;
}

/** One request over node's own client, on a connection of its own. */
export function call(url: string, { method = "GET", headers = {}, body }: Call = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = http.request(url, { method, headers, agent: false }, (res) => {
      const chunks: Buffer[] = [];
      res.on("data", (chunk: Buffer) => chunks.push(chunk));
      res.on("error", () => {});
      res.on("close", () =>
        resolve({
          status: res.statusCode ?? 0,
          headers: res.headers,
          rawHeaders: res.rawHeaders,
          body: Buffer.concat(chunks).toString(),
          isComplete: res.complete,
        }),
      );
    });
    request.on("error", reject);
    request.end(body);
  });
}

export function bodyOf(req: http.IncomingMessage): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    req.on("data", (chunk: Buffer) => chunks.push(chunk));
    req.on("end", () => resolve(Buffer.concat(chunks)));
    req.on("error", reject);
  });
}
