/** An archive in a test's own folder, and what is done to it again and again. */
import type { Readable } from "node:stream";
import type { Test } from "tap";
import { createLogger } from "../../../core/runtime/logger.js";
import type { Archive, ArchivePlace, Incoming, Seal } from "../../../sidecar/registry/archive/archive.js";
import { openArchive } from "../../../sidecar/registry/archive/file-archive.js";
import { makeFolder } from "../../helpers/folder.js";

export const quiet = createLogger({ level: "silent", format: "json", process: "test" });
export const PLACE: ArchivePlace = { folder: "1-foo", file: "v000001.data" };

export async function openArchiveIn(t: Test, dir = makeFolder(t)): Promise<Archive & { readonly dir: string }> {
  const archive = await openArchive({ dir, logger: quiet });
  t.teardown(() => archive.close());
  return Object.assign(archive, { dir });
}

/** Bytes that say where they stand. */
export function bytesOf(count: number): Buffer {
  const bytes = Buffer.allocUnsafeSlow(count);
  for (let at = 0; at < count; at++) bytes[at] = (at * 7 + (at >> 8)) & 0xff;
  return bytes;
}

export async function store(archive: Archive, bytes: Buffer, place = PLACE): Promise<Seal> {
  const incoming = await archive.receive();
  await writeAll(incoming, bytes, 1_000_000);
  const seal = await incoming.seal();
  // Nothing replaces what was read there.
  await archive.remove(place);
  await incoming.keep(place);
  return seal;
}

export async function writeAll(incoming: Pick<Incoming, "write">, bytes: Buffer, chunkBytes: number): Promise<void> {
  for (let at = 0; at < bytes.byteLength; at += chunkBytes) {
    await incoming.write(Buffer.from(bytes.subarray(at, at + chunkBytes)));
  }
}

export async function piecesOf(stream: Readable): Promise<Buffer[]> {
  const pieces: Buffer[] = [];
  for await (const piece of stream) pieces.push(piece as Buffer);
  return pieces;
}

/** What came before it failed, and how it failed. */
export async function untilFault(stream: Readable): Promise<{ readonly bytes: number; readonly code: unknown }> {
  let bytes = 0;
  try {
    for await (const piece of stream) bytes += (piece as Buffer).byteLength;
  } catch (caught) {
    return { bytes, code: (caught as { code?: unknown }).code };
  }
  return { bytes, code: null };
}
