/** Listening on the Unix socket: only this machine, only this user. */
import { chmod, stat, unlink } from "node:fs/promises";
import { connect, createServer, type Server } from "node:net";
import type { FastifyInstance } from "fastify";
import { SluiceError } from "../../core/contract/errors.js";

/** Linux keeps a socket's path in 108 bytes, one of them the end. */
const MAX_PATH_BYTES = 107;
/** A Unix socket refuses at once what does not fit its queue, so a burst must fit; the kernel lowers this to its own bound. */
const BACKLOG = 4_096;
const CONNECT_TIMEOUT_MS = 1_000;
/** How often it is looked whether the socket's file is still there. */
const LOOK_MS = 1_000;

/**
 * @throws CONFIG_INVALID when the path is too long, is taken by another kind of file, or a living process listens there
 */
export async function listenOnSocket(app: FastifyInstance, path: string): Promise<void> {
  if (Buffer.byteLength(path) > MAX_PATH_BYTES) {
    throw new SluiceError("CONFIG_INVALID", `the socket's path is longer than ${MAX_PATH_BYTES} bytes`, {
      hint: "Set sidecar.socket to a shorter path.",
    });
  }
  await clearStale(path);
  keepFile(app, path);
  await app.listen({ path, backlog: BACKLOG });
  await chmod(path, 0o600);
}

/** A cleaner of temporary files may take the socket's file away; then nobody new gets in, so another door is opened in its place. */
function keepFile(app: FastifyInstance, path: string): void {
  const doors: Server[] = [];
  const look = async () => {
    const isGone = await stat(path).then(
      () => false,
      ({ code }: NodeJS.ErrnoException) => code === "ENOENT",
    );
    if (!isGone || !app.server.listening) return;
    const door = createServer((socket) => app.server.emit("connection", socket));
    doors.push(door);
    door
      .once("error", () => door.close())
      .listen({ path, backlog: BACKLOG }, () => {
        chmod(path, 0o600).catch(() => undefined);
      });
  };
  const timer = setInterval(() => void look(), LOOK_MS).unref();
  app.addHook("preClose", async () => {
    clearInterval(timer);
    for (const door of doors) door.close();
  });
}

/** A process that was killed leaves its socket file; nobody answers there. */
async function clearStale(path: string): Promise<void> {
  const found = await stat(path).catch(() => null);
  if (found === null) return;
  if (!found.isSocket()) {
    throw new SluiceError("CONFIG_INVALID", `there is a file at ${path}, where the sidecar's socket should be`);
  }
  if (await isAnswered(path)) {
    throw new SluiceError("CONFIG_INVALID", `another sidecar already listens on ${path}`, {
      hint: "Stop it, or use another data folder.",
    });
  }
  await unlink(path);
}

function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const answer = (value: boolean) => {
      socket.destroy();
      resolve(value);
    };
    // Whoever is too busy to accept is alive all the same.
    socket.setTimeout(CONNECT_TIMEOUT_MS, () => answer(true));
    socket.once("connect", () => answer(true));
    socket.once("error", ({ code }: NodeJS.ErrnoException) => answer(code !== "ECONNREFUSED" && code !== "ENOENT"));
  });
}
