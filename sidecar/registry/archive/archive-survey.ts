/** What lies in an archive's folder, by its names alone: ours, or an archive of Cogment's own layout. Nothing is changed. */
import type { Dirent } from "node:fs";
import { opendir, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { fileCall } from "../../tasks/new-file.js";
import { instanceOf, numberOf } from "../places.js";

export interface ArchiveSurvey {
  /** Folders that hold versions, named as ours are. */
  readonly versions: readonly string[];
  /** Folders that are not ours but named as if: no model of ours may get such a name. */
  readonly likeOurs: readonly string[];
  /** Folders of models in Cogment's layout. */
  readonly foreign: number;
}

/** @param isKnown whether a folder is a model's that the database knows: it is not looked into */
export async function surveyArchive(root: string, isKnown: (folder: string) => boolean): Promise<ArchiveSurvey> {
  const versions: string[] = [];
  const likeOurs: string[] = [];
  let foreign = 0;
  for await (const entry of await fileCall(() => opendir(root))) {
    if (!entry.isDirectory() || isKnown(entry.name)) continue;
    if (await isCogments(root, entry)) foreign += 1;
    if (instanceOf(entry.name) === null) continue;
    likeOurs.push(entry.name);
    const names = await fileCall(() => readdir(join(root, entry.name)));
    if (names.some((name) => numberOf(name) > 0)) versions.push(entry.name);
  }
  return { versions, likeOurs, foreign };
}

async function isCogments(root: string, { name }: Dirent): Promise<boolean> {
  try {
    return (await fileCall(() => stat(join(root, name, `${name}.yaml`)))).isFile();
  } catch (caught) {
    const { code } = caught as { code?: unknown };
    if (code === "ENOENT" || code === "ENAMETOOLONG") return false;
    throw caught;
  }
}
