/**
 * A model server's own output: `server.log`, `server.log.1`, `server.log.2` in its folder. The server writes to the file itself, so
 * that it outlives us; it may hold notes, so it never passes through our own log and only its owner may read it.
 */
import type { FileHandle } from "node:fs/promises";
import { copyFile, mkdir, open, rename, stat, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { setTimeout as pause } from "node:timers/promises";
import type { LogOptions } from "../management.js";

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

/** Keeps what a server that is about to vanish has printed, if anything, in place of what was kept before; about the last `maxBytes`. */
export async function keepServerLog(folder: string, text: Readable, maxBytes: number = MAX_TAIL_BYTES): Promise<void> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of text) {
    chunks.push(chunk as Buffer);
    bytes += (chunk as Buffer).length;
    while (bytes - chunks[0]!.length >= maxBytes) bytes -= chunks.shift()!.length;
  }
  if (bytes === 0) return;
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const path = join(folder, FILE);
  await writeFile(`${path}.new`, Buffer.concat(chunks), { mode: 0o600 });
  await rename(`${path}.new`, path);
}

/** Of the past, at most so much is read. */
const MAX_TAIL_BYTES = 2 ** 20;
const FOLLOW_MS = 250;
const CHUNK_BYTES = 64 * 1024;

/**
 * The last lines of the newest file and, when it is followed, what comes after them until the run is over or the signal aborts.
 * @param isOver asked before each look for more
 */
export async function readServerLog(
  folder: string,
  { tail, follow, signal }: LogOptions,
  isOver: () => boolean = () => false,
): Promise<Readable> {
  const path = join(folder, FILE);
  const past = await readTail(path, tail);
  const text = follow ? followFile(path, past, { signal, isOver }) : [past.text].filter(({ length }) => length > 0);
  return Readable.from(text, { objectMode: false });
}

interface Past {
  readonly text: Buffer;
  readonly endByte: number;
}

async function readTail(path: string, tail: number): Promise<Past> {
  const file = await open(path, "r").catch(() => null);
  if (file === null) return { text: Buffer.alloc(0), endByte: 0 };
  try {
    const { size } = await file.stat();
    const from = Math.max(0, size - MAX_TAIL_BYTES);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(size - from), 0, size - from, from);
    return { text: lastLines(buffer.subarray(0, bytesRead), tail), endByte: from + bytesRead };
  } finally {
    await file.close();
  }
}

function lastLines(text: Buffer, count: number): Buffer {
  if (count === 0) return Buffer.alloc(0);
  let found = 0;
  // The newline that ends the last line begins none.
  for (let at = text.length - 2; at >= 0; at--) {
    if (text[at] === 10 && ++found === count) return text.subarray(at + 1);
  }
  return text;
}

interface Until {
  readonly signal: AbortSignal;
  readonly isOver: () => boolean;
}

async function* followFile(path: string, past: Past, { signal, isOver }: Until): AsyncGenerator<Buffer> {
  if (past.text.length > 0) yield past.text;
  let at = past.endByte;
  const chunk = Buffer.alloc(CHUNK_BYTES);
  while (!signal.aborted) {
    // Asked first: what was written before the run's end is read once more.
    const isLast = isOver();
    const file = await open(path, "r").catch(() => null);
    try {
      const size = (await file?.stat())?.size ?? 0;
      // It was moved on: what is there now is new.
      if (size < at) at = 0;
      while (file !== null && at < size && !signal.aborted) {
        const { bytesRead } = await file.read(chunk, 0, chunk.length, at);
        if (bytesRead === 0) break;
        at += bytesRead;
        yield Buffer.from(chunk.subarray(0, bytesRead));
      }
    } finally {
      await file?.close();
    }
    if (isLast) return;
    await pause(FOLLOW_MS, undefined, { signal }).catch(() => undefined);
  }
}
