/** A receiver of callbacks that does what it is told, delivery by delivery. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Test } from "tap";

export interface Received {
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
  readonly text: string;
}

/** A status, or something worse: never an answer, a cut, a redirect to itself, a status and then a body without end. */
export type Behaviour = number | "hang" | "cut" | "redirect" | "endless";

export interface Receiver {
  readonly url: string;
  readonly origin: string;
  readonly received: readonly Received[];
  /** Resolves once so many deliveries have come. */
  reached(count: number): Promise<void>;
}

/** @param script one per delivery; the last goes on for ever */
export async function startReceiver(t: Test, script: readonly Behaviour[], port = 0): Promise<Receiver> {
  const received: Received[] = [];
  const waiters = new Set<() => void>();
  const server = createServer(async (req, res) => {
    let text = "";
    for await (const chunk of req.setEncoding("utf8")) text += chunk;
    const behaviour = script[Math.min(received.length, script.length - 1)]!;
    received.push({ path: req.url!, headers: req.headers, text });
    behave(behaviour, res);
    for (const waiter of waiters) waiter();
  });
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  t.teardown(() => {
    server.close();
    server.closeAllConnections();
  });
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url: `${origin}/hook?token=secret-token`,
    origin,
    received,
    reached: (count) =>
      new Promise((resolve) => {
        const look = () => {
          if (received.length < count) return;
          waiters.delete(look);
          resolve();
        };
        waiters.add(look);
        look();
      }),
  };
}

function behave(behaviour: Behaviour, res: ServerResponse): void {
  if (behaviour === "hang") return;
  if (behaviour === "cut") res.destroy();
  else if (behaviour === "redirect") res.writeHead(302, { location: "/elsewhere" }).end();
  else if (behaviour === "endless") {
    res.writeHead(200);
    const flood = () => {
      while (!res.destroyed && res.write(Buffer.alloc(65_536)));
    };
    res.on("drain", flood);
    flood();
  } else res.writeHead(behaviour).end("thanks");
}
