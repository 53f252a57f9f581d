/** Listening on the Unix socket: only this machine, only this user. */
import { chmod, stat, unlink } from "node:fs/promises";
import { connect } from "node:net";
import type { FastifyInstance } from "fastify";
import { SluiceError } from "../../core/contract/errors.js";

/** Linux keeps a socket's path in 108 bytes, one of them the end. */
const MAX_PATH_BYTES = 107;
const CONNECT_TIMEOUT_MS = 1_000;

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
  await app.listen({ path });
  await chmod(path, 0o600);
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
