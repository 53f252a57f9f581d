/** What a crash left in the archive, removed. Only what bears a name of ours: a folder may hold files of somebody else's. */
import type { Dirent } from "node:fs";
import { lstat, opendir, rmdir, unlink } from "node:fs/promises";
import { join } from "node:path";
import { failpoint } from "../../../core/runtime/failpoints.js";
import { fileCall } from "../../tasks/new-file.js";
import { instanceOf, numberOf } from "../places.js";
import type { NamedFiles } from "./archive.js";
import { unlessMissing } from "./byte-faults.js";

export const INCOMING_FOLDER = "incoming";
/** Others name files by a uuid too: ours bear our name. */
const INCOMING_FILE = /^([0-9a-f]{8}-[0-9a-f-]{27})\.sluice$/;

/** Of a file that has its place while its row may still fail to come; then it is `SETTLED_MODE`. */
export const PENDING_MODE = 0o400;
export const SETTLED_MODE = 0o444;

export function isPending({ mode }: { readonly mode: number }): boolean {
  return (mode & 0o777) === PENDING_MODE;
}

/** The name of a file on its way in. */
export function incomingName(id: string): string {
  return `${id}.sluice`;
}

/** @returns how many files and folders went */
export async function sweepArchive(root: string, names: NamedFiles): Promise<number> {
  let removed = 0;
  for await (const entry of await fileCall(() => opendir(root))) {
    if (!entry.isDirectory()) continue;
    const { name: folder } = entry;
    if (folder === INCOMING_FOLDER) {
      removed += await sweepFolder(join(root, folder), (name) => {
        const id = INCOMING_FILE.exec(name)?.[1];
        return id !== undefined && !names.isIncoming(id);
      });
    } else if (instanceOf(folder) !== null) {
      const isLeft = async (file: string) => {
        if (numberOf(file) === 0 || names.isPlace({ folder, file })) return false;
        if (isPending(await fileCall(() => lstat(join(root, folder, file))))) return true;
        names.onUnknown({ folder, file });
        return false;
      };
      const left = await sweepFolder(join(root, folder), isLeft);
      // An empty one that we took nothing from may be somebody else's.
      removed += left + (left === 0 ? 0 : await removeEmpty(join(root, folder)));
    }
  }
  return removed;
}

/** All versions in it, and the folder where nothing else is in it. */
export async function removeVersions(path: string): Promise<void> {
  try {
    for await (const { name } of (await fileCall(() => opendir(path))) as AsyncIterable<Dirent>) {
      if (numberOf(name) > 0) await fileCall(() => unlink(join(path, name))).catch(unlessMissing);
    }
    await removeEmpty(path);
  } catch (caught) {
    unlessMissing(caught);
  }
}

async function sweepFolder(path: string, isLeft: (name: string) => boolean | Promise<boolean>): Promise<number> {
  let removed = 0;
  for await (const entry of (await fileCall(() => opendir(path))) as AsyncIterable<Dirent>) {
    if (!entry.isFile() || !(await isLeft(entry.name))) continue;
    failpoint("archive.before_sweep");
    await fileCall(() => unlink(join(path, entry.name))).catch(unlessMissing);
    removed += 1;
  }
  return removed;
}

async function removeEmpty(path: string): Promise<number> {
  try {
    await fileCall(() => rmdir(path));
    return 1;
  } catch (caught) {
    const { code } = caught as { code?: unknown };
    if (code === "ENOTEMPTY" || code === "EEXIST" || code === "ENOENT") return 0;
    throw caught;
  }
}
