/** A model server in this process: it answers at once, or holds every task until told, and says when it sees one. */
import { EventEmitter, once } from "node:events";
import { createServer, type Server, type ServerResponse } from "node:http";
import { SMALL_ANSWER } from "./answer.js";

export class ModelServer {
  /** Tasks seen so far: POSTs, by their heads. */
  seen = 0;
  /** While true, tasks wait for `release`. */
  isHolding = false;
  readonly #server: Server;
  readonly #held = new Set<ServerResponse>();
  /** `seen`, with the moment in the clock of `performance.now()`. */
  readonly #events = new EventEmitter<{ seen: [atMs: number] }>();

  private constructor() {
    this.#server = createServer((req, res) => {
      if (req.method !== "POST") return void answer(res);
      const atMs = performance.now();
      this.seen++;
      this.#events.emit("seen", atMs);
      req.resume();
      req.once("end", () => {
        if (!this.isHolding) return void answer(res);
        this.#held.add(res);
        res.once("close", () => this.#held.delete(res));
      });
    });
  }

  static async start(): Promise<ModelServer> {
    const model = new ModelServer();
    model.#server.listen(0, "127.0.0.1");
    await once(model.#server, "listening");
    return model;
  }

  get port(): number {
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("the model server does not listen");
    return address.port;
  }

  /** When the next task is seen. */
  async nextSeen(signal: AbortSignal): Promise<number> {
    const [atMs] = (await once(this.#events, "seen", { signal })) as [number];
    return atMs;
  }

  release(): void {
    this.isHolding = false;
    for (const res of this.#held) answer(res);
  }

  async stop(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, "close");
  }
}

function answer(res: ServerResponse): void {
  res.writeHead(200, { "content-type": "application/json", "content-length": SMALL_ANSWER.length });
  res.end(SMALL_ANSWER);
}
