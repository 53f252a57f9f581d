/** The port and who is connected to it. HTTP/2 is somebody else's: every accepted socket is handed on. */
import { createServer, type Server, type Socket } from "node:net";

export interface Connections {
  /** As bound. */
  readonly host: string;
  readonly port: number;
  readonly count: number;
  /** Bytes that came and went over a peer's connection, a sign of its life; null where there is none such. */
  traffic(peer: string): { readonly readBytes: number; readonly writtenBytes: number } | null;
  drop(peer: string): void;
  /** Takes no new ones. */
  refuse(): void;
  /** Ends all. Resolves when they are gone. */
  close(): Promise<void>;
}

export interface ListenOptions {
  /** Null: all addresses of this machine. */
  readonly host: string | null;
  /** 0: any free one. */
  readonly port: number;
  readonly maxConnections: number;
  readonly onConnection: (socket: Socket) => void;
}

/** @throws what listening throws, with its `code` (EADDRINUSE, EACCES, …) */
export async function listen(options: ListenOptions): Promise<Connections> {
  const sockets = new Map<string, Socket>();
  const server = createServer({ noDelay: true, keepAlive: true, keepAliveInitialDelay: 60_000 }, (socket) => {
    const peer = `${socket.remoteAddress}:${socket.remotePort}`;
    sockets.set(peer, socket);
    socket.once("close", () => {
      if (sockets.get(peer) === socket) sockets.delete(peer);
    });
    // Whatever goes wrong with it ends it; the calls on it hear of that themselves.
    socket.on("error", () => socket.destroy());
    options.onConnection(socket);
  });
  server.maxConnections = options.maxConnections;
  await bind(server, options);
  return connectionsOf(server, sockets);
}

function bind(server: Server, { host, port }: ListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ port, ...(host === null ? {} : { host }) }, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

function connectionsOf(server: Server, sockets: Map<string, Socket>): Connections {
  const { address, port } = server.address() as { address: string; port: number };
  let closed: Promise<void> | null = null;
  const refuse = () => {
    closed ??= new Promise((resolve) => server.close(() => resolve()));
    return closed;
  };
  return {
    host: address,
    port,
    get count() {
      return sockets.size;
    },
    traffic(peer) {
      const socket = sockets.get(peer);
      return socket === undefined ? null : { readBytes: socket.bytesRead, writtenBytes: socket.bytesWritten };
    },
    drop: (peer) => void sockets.get(peer)?.destroy(),
    refuse: () => void refuse(),
    close() {
      const gone = refuse();
      for (const socket of sockets.values()) socket.destroy();
      return gone;
    },
  };
}
