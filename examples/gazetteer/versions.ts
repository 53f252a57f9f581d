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

/** A version's file. */
export function encodeVersion(model: Omit<Version, "format">): Buffer {
  const { name, model_type, version, terms } = model;
  return Buffer.from(JSON.stringify({ format: FORMAT, name, model_type, version, terms } satisfies Version));
}

/** @returns the number after those that lie in the folder, from 1 up */
export async function nextVersion(dataDir: string): Promise<number> {
  const folder = join(dataDir, "versions");
  await mkdir(folder, { recursive: true });
  const taken = (await readdir(folder)).map((file) => Number(/-(\d+)\.json$/u.exec(file)?.[1] ?? 0));
  return Math.max(0, ...taken) + 1;
}

/** @returns where the new version lies, as a `file://` URL that `--model-path` understands */
export async function writeVersion(dataDir: string, name: string, version: number, content: Buffer): Promise<string> {
  const path = join(dataDir, "versions", `${name.replace(/[^\w.-]/gu, "_")}-${version}.json`);
  await writeFileSafely(path, content);
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
