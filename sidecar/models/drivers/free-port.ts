/** Ports for servers that we start on this machine. */
import { createServer } from "node:net";

/** Handed out lately and perhaps not listened on yet: two servers that start together get different ones. */
const handedOut = new Set<number>();
const REMEMBERED = 64;

/** A port on loopback that nothing listens on now. */
export async function takeFreePort(): Promise<number> {
  for (let attempt = 0; attempt < 20; attempt++) {
    const port = await listenBriefly(0);
    if (handedOut.has(port)) continue;
    handedOut.add(port);
    if (handedOut.size > REMEMBERED) handedOut.delete(handedOut.values().next().value!);
    return port;
  }
  throw new Error("no free port on 127.0.0.1");
}

/** Whether a server could listen there. Where another program does, its answers must not be taken for our server's. */
export function isPortFree(port: number): Promise<boolean> {
  return listenBriefly(port).then(
    () => true,
    () => false,
  );
}

function listenBriefly(wanted: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(wanted, "127.0.0.1", () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
