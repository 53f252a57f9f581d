/**
 * A model server's own output: `server.log`, `server.log.1`, `server.log.2` in its folder. The server writes to the file itself, so
 * that it outlives us; it may hold notes, so it never passes through our own log and only its owner may read it.
 */

import type { FileHandle } from "node:fs/promises";
import { copyFile, mkdir, open, rename, stat, truncate } from "node:fs/promises";
import { join } from "node:path";

/** Size above which the file is moved on. */
const MAX_LOG_BYTES = 10 * 2 ** 20;

const FILE = "server.log";

export async function openServerLog(folder: string): Promise<FileHandle> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  return open(join(folder, FILE), "a", 0o600);
}

/**
 * Keeps three files of about `maxBytes`. The server goes on writing to the same open file, so the newest is copied and emptied; a
 * line written in between is lost.
 */
export async function rotateServerLog(folder: string, maxBytes: number = MAX_LOG_BYTES): Promise<void> {
  const path = join(folder, FILE);
  const size = await stat(path).then(
    (found) => found.size,
    () => 0,
  );
  if (size <= maxBytes) return;
  await rename(`${path}.1`, `${path}.2`).catch(() => undefined);
  // With the disk full there is no room for a copy; emptying the file is what helps then.
  await copyFile(path, `${path}.1`).catch(() => undefined);
  await truncate(path, 0);
}
