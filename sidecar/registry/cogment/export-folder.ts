/** Where an export writes: files that stand under their names whole or not at all, and nothing that was there is replaced. */
import { constants } from "node:fs";
import { access, mkdir, open, readdir, rename, unlink } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { isDiskFull, SluiceError } from "../../../core/contract/errors.js";
import { failpoint } from "../../../core/runtime/failpoints.js";
import { fileCall, syncFolder } from "../../tasks/new-file.js";

/** As Cogment's. */
const FOLDER_MODE = 0o750;
const FILE_MODE = 0o640;
/** Of the one file in a folder that is not whole yet; one that a crash left is replaced. */
const UNFINISHED = ".sluice-export.part";

/** @throws INVALID_PARAMETER where it is no folder, or holds something and may not; STORE_FAILED */
export async function prepareTop(dir: string, merge: boolean): Promise<void> {
  const names = await written(async () => {
    await fileCall(() => mkdir(dir, { recursive: true, mode: FOLDER_MODE }));
    await access(dir, constants.W_OK);
    return fileCall(() => readdir(dir));
  });
  if (merge || names.length === 0) return;
  throw new SluiceError("INVALID_PARAMETER", "the folder to export to is not empty", {
    hint: "Name a new one, or add --merge: what is there already stays then.",
  });
}

/** @returns false where there is one already */
export function makeModelFolder(folder: string): Promise<boolean> {
  return written(async () => {
    try {
      await fileCall(() => mkdir(folder, { mode: FOLDER_MODE }));
      return true;
    } catch (caught) {
      if ((caught as NodeJS.ErrnoException).code === "EEXIST") return false;
      throw caught;
    }
  });
}

export interface NewName {
  readonly folder: string;
  readonly name: string;
}

/**
 * Tells of each piece that is written; the name stands when it ends.
 * @throws DISK_FULL, STORE_FAILED; what the source throws, as it is
 */
export async function* writeWhole(
  { folder, name }: NewName,
  source: AsyncIterable<Uint8Array>,
): AsyncGenerator<number> {
  const unfinished = join(folder, UNFINISHED);
  await written(() => removeLeft(unfinished));
  const handle = await written(() => fileCall(() => open(unfinished, "wx", FILE_MODE)));
  let isWhole = false;
  try {
    for await (const piece of source) {
      await written(() => writeAll(handle, piece));
      yield piece.byteLength;
    }
    await written(() => fileCall(() => handle.sync()));
    isWhole = true;
  } finally {
    await handle.close();
    if (!isWhole) await unlink(unfinished).catch(() => undefined);
  }
  failpoint("export.before_rename");
  await written(() => fileCall(() => rename(unfinished, join(folder, name))));
  failpoint("export.after_rename");
}

export async function writeText(at: NewName, text: string): Promise<void> {
  for await (const _bytes of writeWhole(at, Readable.from([Buffer.from(text)])));
}

async function writeAll(handle: Awaited<ReturnType<typeof open>>, piece: Uint8Array): Promise<void> {
  for (let offset = 0; offset < piece.byteLength; ) {
    offset += (await fileCall(() => handle.write(piece, offset))).bytesWritten;
  }
}

async function removeLeft(path: string): Promise<void> {
  try {
    await fileCall(() => unlink(path));
  } catch (caught) {
    if ((caught as NodeJS.ErrnoException).code !== "ENOENT") throw caught;
  }
}

/** The names in it are on the disk for good. */
export function settleFolder(folder: string): Promise<void> {
  return written(() => syncFolder(folder));
}

async function written<Value>(step: () => Promise<Value>): Promise<Value> {
  try {
    return await step();
  } catch (cause) {
    if (isDiskFull(cause)) {
      throw new SluiceError("DISK_FULL", "the disk of the folder to export to is full", {
        cause,
        hint: "Free space there and run again with --merge.",
      });
    }
    const { code } = cause as NodeJS.ErrnoException;
    throw new SluiceError("STORE_FAILED", `the folder to export to cannot be written: ${code}`, {
      cause,
      hint: "Name a folder that the user who runs Sluice can write; run again with --merge where something is there.",
    });
  }
}
