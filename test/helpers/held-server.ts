/** A model server that keeps every call until it is told to let go, and remembers in which order calls came: order without a clock. */
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Teardown } from "./gazetteer.js";

export interface HeldServer {
  readonly url: string;
  /** Request ids of the calls it got, in their order. */
  readonly order: readonly string[];
  /** Most calls it had at a time. */
  readonly most: number;
  /** Answers what it holds; from now on it answers each call after `delayMs`. */
  release(delayMs?: number): void;
  /** Resolves once it has got a call of this request id. */
  called(requestId: string): Promise<void>;
}

export async function startHeldServer(t: Teardown): Promise<HeldServer> {
  const order: string[] = [];
  const waiters = new Map<string, () => void>();
  const held = new Set<ServerResponse>();
  let delayMs: number | null = null;
  let most = 0;
  const answer = (res: ServerResponse) => {
    held.delete(res);
    res.writeHead(200, { "content-type": "application/json" }).end("{}");
  };
  const server = createServer((req, res) => {
    if (req.method !== "POST") return void res.writeHead(200).end();
    const id = String(req.headers["x-request-id"]);
    order.push(id);
    held.add(res);
    most = Math.max(most, held.size);
    waiters.get(id)?.();
    req.resume().once("end", () => {
      if (delayMs !== null) setTimeout(() => answer(res), delayMs);
    });
  }).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    order,
    get most() {
      return most;
    },
    release(afterMs = 0) {
      delayMs = afterMs;
      for (const res of held) answer(res);
    },
    called: (id) =>
      new Promise((resolve) => {
        if (order.includes(id)) return resolve();
        waiters.set(id, resolve);
      }),
  };
}
