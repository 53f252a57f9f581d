import { readFileSync } from "node:fs";
import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { writeFileSafely } from "./files.js";
import type { Term } from "./terms.js";

const FORMAT = "gazetteer/1";

/** A trained gazetteer as it lies on disk. */
export interface Version {
  readonly format: typeof FORMAT;
  readonly name: string;
  readonly model_type: string;
  readonly version: number;
  readonly terms: readonly Term[];
}

/** @returns where the new version lies, as a `file://` URL that `--model-path` understands */
export async function writeVersion(
  dataDir: string,
  model: Pick<Version, "name" | "model_type" | "terms">,
): Promise<string> {
  const folder = join(dataDir, "versions");
  await mkdir(folder, { recursive: true });
  const taken = (await readdir(folder)).map((file) => Number(/-(\d+)\.json$/u.exec(file)?.[1] ?? 0));
  const version = Math.max(0, ...taken) + 1;
  const path = join(folder, `${model.name.replace(/[^\w.-]/gu, "_")}-${version}.json`);
  const { name, model_type, terms } = model;
  await writeFileSafely(path, JSON.stringify({ format: FORMAT, name, model_type, version, terms } satisfies Version));
  return pathToFileURL(path).href;
}

/** @throws Error when the file is not a gazetteer's version */
export function readVersion(pathOrUrl: string): Version {
  const path = pathOrUrl.startsWith("file:") ? fileURLToPath(pathOrUrl) : pathOrUrl;
  const version = JSON.parse(readFileSync(path, "utf8")) as Version;
  if (version.format !== FORMAT || !Array.isArray(version.terms))
    throw new Error(`${path} is not a version of a gazetteer`);
  return version;
}
