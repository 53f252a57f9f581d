/** `GET /internal/routes`: the route table as an endless stream of whole snapshots, so that a proxy can go on without us. */
import type { FastifyInstance } from "fastify";
import { PROXY_HEADER, ROUTES_HEARTBEAT_MS, type RouteSnapshot } from "../../core/contract/internal-api.js";
import type { AppDeps } from "./deps.js";

export function registerRouteStream(app: FastifyInstance, deps: AppDeps): void {
  const { catalogue, presence } = deps;
  const streams = new Set<RouteStream>();
  let latest: string | null = null;

  const line = (): string => {
    if (latest === null) {
      const { proxy, scheduler } = deps.config();
      const snapshot: RouteSnapshot = {
        ...presence.table,
        models: catalogue.list(),
        aliases: proxy.aliases,
        routes: scheduler.routes,
      };
      latest = `${JSON.stringify(snapshot)}\n`;
    }
    return latest;
  };
  const advance = () => presence.advance();
  const offer = () => {
    latest = null;
    for (const stream of streams) stream.offer();
  };

  const unsubscribe = [catalogue.onChange(advance), deps.onConfigChange(advance), presence.onAdvance(offer)];
  app.addHook("preClose", async () => {
    for (const end of unsubscribe) end();
    for (const stream of streams) stream.end();
  });
  app.get("/internal/routes", (request, reply) => {
    reply.hijack();
    const proxy = request.headers[PROXY_HEADER];
    const disconnect = typeof proxy === "string" ? presence.connect(proxy) : () => {};
    const { raw } = reply;
    raw.writeHead(200, { "content-type": "application/x-ndjson", "cache-control": "no-store" });
    const stream = new RouteStream(raw, line);
    streams.add(stream);
    raw.once("close", () => {
      stream.end();
      streams.delete(stream);
      disconnect();
    });
  });
}

/** One proxy's stream. A slow reader gets the newest snapshot when it is ready for it, never a backlog of old ones. */
class RouteStream {
  readonly #raw: NodeJS.WritableStream;
  readonly #line: () => string;
  readonly #heartbeat: NodeJS.Timeout;
  #isFull = false;
  #hasNews = true;

  constructor(raw: NodeJS.WritableStream, line: () => string) {
    this.#raw = raw;
    this.#line = line;
    this.#raw.on("drain", () => {
      this.#isFull = false;
      this.#flush();
    });
    this.#heartbeat = setInterval(() => {
      if (!this.#isFull) this.#isFull = !this.#raw.write("{}\n");
    }, ROUTES_HEARTBEAT_MS);
    this.#heartbeat.unref();
    this.#flush();
  }

  offer(): void {
    this.#hasNews = true;
    this.#flush();
  }

  end(): void {
    clearInterval(this.#heartbeat);
    this.#raw.end();
  }

  #flush(): void {
    if (this.#isFull || !this.#hasNews) return;
    this.#hasNews = false;
    this.#isFull = !this.#raw.write(this.#line());
  }
}
