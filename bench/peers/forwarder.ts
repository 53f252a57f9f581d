/**
 * The yardsticks: the least a Node proxy can do, `node forwarder.js <undici|http-proxy-3> <upstream url>`.
 * They check, count and limit nothing. A process of its own; its first message is its port.
 */
import { Agent, createServer, type IncomingMessage, type RequestListener, type ServerResponse } from "node:http";
import { createProxyServer } from "http-proxy-3";
import { type Dispatcher, Pool } from "undici";

function forwardByUndici(target: string): RequestListener {
  const pool = new Pool(target, { connections: 512, pipelining: 1 });
  return (req: IncomingMessage, res: ServerResponse) => {
    let controller: Dispatcher.DispatchController | undefined;
    const hasBody = req.headers["content-length"] !== undefined || req.headers["transfer-encoding"] !== undefined;
    res.on("drain", () => controller?.resume());
    const headers: string[] = [];
    for (let n = 0; n < req.rawHeaders.length; n += 2) {
      const name = req.rawHeaders[n]!;
      if (/^(connection|keep-alive|transfer-encoding)$/i.test(name)) continue;
      headers.push(name, req.rawHeaders[n + 1]!);
    }
    pool.dispatch(
      {
        path: req.url ?? "/",
        method: (req.method ?? "GET") as Dispatcher.HttpMethod,
        headers,
        body: hasBody ? req : null,
      },
      {
        onRequestStart(given) {
          controller = given;
        },
        onResponseStart(given, status) {
          const raw = given.rawHeaders;
          if (!Array.isArray(raw)) return void res.destroy();
          res.writeHead(status, raw.map(String));
        },
        onResponseData(given, chunk) {
          if (!res.write(chunk)) given.pause();
        },
        onResponseEnd() {
          res.end();
        },
        onResponseError() {
          if (!res.headersSent) res.writeHead(502, { "content-length": 0 }).end();
          else res.destroy();
        },
      },
    );
  };
}

function forwardByHttpProxy(target: string): RequestListener {
  const proxy = createProxyServer({ target, agent: new Agent({ keepAlive: true }) });
  proxy.on("error", (_error, _req, res) => res.destroy());
  return (req, res) => void proxy.web(req, res);
}

const [kind, target] = process.argv.slice(2);
if (target === undefined) throw new Error("forwarder.js <undici|http-proxy-3> <upstream url>");
const server = createServer(kind === "undici" ? forwardByUndici(target) : forwardByHttpProxy(target));
server.keepAliveTimeout = 600_000;
server.requestTimeout = 0;
server.listen({ port: 0, host: "127.0.0.1", backlog: 2048 }, () => {
  const address = server.address();
  if (address !== null && typeof address !== "string") process.send?.(address.port);
});
process.once("disconnect", () => process.exit(0));
