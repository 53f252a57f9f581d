/**
 * A version on its way into a file: first under `<file>.part`, from where it stands after each break, also of an earlier command; then
 * read back and held against its hash; then under its name.
 */
import { constants } from "node:fs";
import { type FileHandle, link, open, rename, rm, stat } from "node:fs/promises";
import { resolve } from "node:path";
import type { VersionObject } from "../core/contract/registry-api.js";
import type { SluiceClient } from "./client.js";
import { CliError, EXIT } from "./exit.js";
import { hashFile } from "./file-hash.js";
import { Patience } from "./patience.js";
import { versionPath } from "./registry-paths.js";
import { showTransfer, type TransferProgress } from "./transfer-progress.js";

const SILENCE_MS = 60_000;

export interface Download {
  readonly version: VersionObject;
  readonly output: string;
  /** Replace a file of that name. */
  readonly force: boolean;
  readonly signal: AbortSignal;
}

/**
 * @throws CliError `failed` when it is refused, damaged or cannot be written, `unreachable` after a minute in which nothing moved: then
 * what has come is kept; `interrupted`. Nothing new stands under the file's name then.
 */
export async function downloadVersion(client: SluiceClient, download: Download): Promise<void> {
  const { version, output, signal } = download;
  const target = resolve(output);
  const part = `${target}.part`;
  try {
    const had = await sizeOf(part);
    let isWhole = await fetchInto(client, download, part);
    if (!isWhole && had > 0) {
      // What an earlier command had left was of another version.
      await rm(part);
      isWhole = await fetchInto(client, download, part);
    }
    if (!isWhole) throw new CliError(EXIT.failed, `${nameOf(version)} arrived damaged`, { hint: "Fetch it again." });
    await giveName(part, target, download);
  } catch (caught) {
    const isKept = !signal.aborted && caught instanceof CliError && caught.exitCode === EXIT.unreachable;
    if (!isKept) await rm(part, { force: true });
    throw explain(caught, download);
  }
}

function explain(caught: unknown, { version, output, signal }: Download): unknown {
  if (signal.aborted) {
    return new CliError(EXIT.interrupted, `stopped before all of ${nameOf(version)} had come`, { cause: caught });
  }
  if (caught instanceof CliError) {
    if (caught.exitCode !== EXIT.unreachable) return caught;
    const hint = `What has come is in ${output}.part; the same command goes on from there.`;
    return new CliError(caught.exitCode, caught.message, { cause: caught, hint });
  }
  const { code, message } = caught as NodeJS.ErrnoException;
  return new CliError(EXIT.failed, `cannot write ${output}: ${code ?? message}`, { cause: caught });
}

const nameOf = ({ model_id, version_number }: VersionObject) => `${model_id}/${version_number}`;

async function sizeOf(path: string): Promise<number> {
  return (await stat(path).catch(() => null))?.size ?? 0;
}

/** @returns whether the file is the version now */
async function fetchInto(client: SluiceClient, download: Download, part: string): Promise<boolean> {
  const { version, signal } = download;
  const handle = await open(part, constants.O_RDWR | constants.O_CREAT, 0o666);
  const progress = showTransfer("Downloading", version.data_bytes);
  try {
    await fetchAll(client, download, { handle, progress });
    await handle.sync();
  } finally {
    progress.end();
    await handle.close();
  }
  return (await hashFile(part, version.data_bytes, signal)) === version.sha256;
}

interface Receiver {
  readonly handle: FileHandle;
  readonly progress: TransferProgress;
}

async function fetchAll(client: SluiceClient, download: Download, receiver: Receiver): Promise<void> {
  const { version, signal } = download;
  const { handle, progress } = receiver;
  const patience = new Patience(client, signal);
  for (;;) {
    const { size } = await handle.stat();
    if (size > version.data_bytes) await handle.truncate(0);
    else if (size === version.data_bytes) return;
    else {
      try {
        await fetchFrom(client, download, { ...receiver, offset: size, onMoved: () => patience.moved() });
      } catch (caught) {
        if (isOfFile(caught)) throw caught;
        await patience.rest(caught, progress);
      }
    }
  }
}

function isOfFile(caught: unknown): boolean {
  const { syscall } = caught as NodeJS.ErrnoException;
  return syscall === "write" || syscall === "ftruncate" || syscall === "fstat";
}

interface Piece extends Receiver {
  readonly offset: number;
  onMoved(): void;
}

async function fetchFrom(client: SluiceClient, { version, signal }: Download, piece: Piece): Promise<void> {
  const { handle, progress, offset, onMoved } = piece;
  const etag = `"${version.sha256}"`;
  const path = `${versionPath(version.model_id, version.version_number)}/data`;
  const answer = await client.call({
    path,
    headers: offset === 0 ? {} : { range: `bytes=${offset}-`, "if-range": etag },
    silenceMs: SILENCE_MS,
    signal,
  });
  if (answer.headers.etag !== etag) {
    answer.body.destroy();
    throw new CliError(EXIT.failed, `${nameOf(version)} was replaced while it came`, { hint: "Fetch it again." });
  }
  const from = answer.status === 206 ? offset : 0;
  if (from !== offset) await handle.truncate(0);
  let at = from;
  progress.at(at);
  for await (const chunk of answer.body as AsyncIterable<Buffer>) {
    await writeAt(handle, chunk, at);
    at += chunk.length;
    progress.at(at);
    onMoved();
  }
}

async function writeAt(handle: FileHandle, chunk: Buffer, position: number): Promise<void> {
  for (let done = 0; done < chunk.length; ) {
    done += (await handle.write(chunk, done, chunk.length - done, position + done)).bytesWritten;
  }
}

/** A link, unlike a rename, never replaces what has come to stand there meanwhile. */
async function giveName(part: string, target: string, { output, force }: Download): Promise<void> {
  if (force) return rename(part, target);
  try {
    await link(part, target);
  } catch (caught) {
    const { code } = caught as NodeJS.ErrnoException;
    if (code === "EEXIST") {
      const hint = "--force replaces it.";
      throw new CliError(EXIT.failed, `${output} has come to be there meanwhile`, { cause: caught, hint });
    }
    // Not every file system has links.
    return rename(part, target);
  }
  await rm(part);
}
