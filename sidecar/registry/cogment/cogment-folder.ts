/** An archive of Cogment's as it lies on the disk: what is in its folders, and one file's text or bytes, never by a symbolic link. */
import { constants, type Dirent } from "node:fs";
import { type FileHandle, open, readdir } from "node:fs/promises";
import { fileCall } from "../../tasks/new-file.js";

export type EntryKind = "file" | "folder" | "symlink" | "other";

export interface Entry {
  /** What is no UTF-8 in it is shown as U+FFFD; {@link isText} is false then. */
  readonly name: string;
  readonly isText: boolean;
  readonly kind: EntryKind;
}

/** In byte order of their names. @throws the file system's errors */
export async function entriesOf(folder: string): Promise<Entry[]> {
  const found = await fileCall(() => readdir(folder, { withFileTypes: true, encoding: "buffer" }));
  found.sort((one, other) => Buffer.compare(one.name, other.name));
  return found.map((each) => {
    const name = each.name.toString("utf8");
    return { name, isText: Buffer.from(name, "utf8").equals(each.name), kind: kindOf(each) };
  });
}

function kindOf(entry: Dirent<Buffer>): EntryKind {
  if (entry.isFile()) return "file";
  if (entry.isDirectory()) return "folder";
  return entry.isSymbolicLink() ? "symlink" : "other";
}

export interface OpenSource {
  readonly handle: FileHandle;
  readonly bytes: number;
}

/** What is to be read is no file. */
export class NotAFileError extends Error {}

/** A regular file, for reading. Close its handle. @throws NotAFileError, the file system's errors (ELOOP: a symbolic link) */
export async function openSource(path: string): Promise<OpenSource> {
  // Without O_NONBLOCK a pipe of that name would wait for its writer.
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const handle = await fileCall(() => open(path, flags));
  try {
    const found = await fileCall(() => handle.stat());
    if (!found.isFile()) throw new NotAFileError("it is no regular file");
    return { handle, bytes: found.size };
  } catch (caught) {
    await handle.close();
    throw caught;
  }
}

/** Eight times what user data may be: a quoted byte can take six. */
export const MAX_INFO_BYTES = 2 * 1024 * 1024;

/** @returns null where it is longer than {@link MAX_INFO_BYTES} @throws as {@link openSource} */
export async function readInfoText(path: string): Promise<string | null> {
  const { handle, bytes } = await openSource(path);
  try {
    return bytes > MAX_INFO_BYTES ? null : await fileCall(() => handle.readFile("utf8"));
  } finally {
    await handle.close();
  }
}

const PIECE_BYTES = 1024 * 1024;

/** The next piece in memory of its own; empty at the end. */
export async function readPiece({ handle }: OpenSource): Promise<Buffer> {
  const piece = Buffer.allocUnsafeSlow(PIECE_BYTES);
  const { bytesRead } = await fileCall(() => handle.read(piece, 0, PIECE_BYTES));
  return piece.subarray(0, bytesRead);
}
