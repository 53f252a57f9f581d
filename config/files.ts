/** The files a configuration comes from, read with a bound. */
import { existsSync, readFileSync, statSync } from "node:fs";
import { dirname, isAbsolute, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { parseEnv } from "node:util";
import type { Environment } from "./environment.js";

/** Largest file that is read. */
const MAX_FILE_BYTES = 1024 * 1024;

/** The folder of Sluice's own package.json; the same from the source tree and from `dist/`. */
export const PACKAGE_ROOT: string = packageRoot(dirname(fileURLToPath(import.meta.url)));

/** The version in Sluice's own package.json. */
export function programVersion(): string {
  return (JSON.parse(readFileSync(join(PACKAGE_ROOT, "package.json"), "utf8")) as { version: string }).version;
}

/** Read when neither `--config` nor `SLUICE_CONFIG` names another. */
export const DEFAULT_CONFIG_FILE: string = join(PACKAGE_ROOT, "config", "sluice.yaml");

function packageRoot(folder: string): string {
  const parent = dirname(folder);
  if (existsSync(join(folder, "package.json")) || parent === folder) return folder;
  return packageRoot(parent);
}

export type TextRead = { readonly text: string } | { readonly problem: string; readonly missing: boolean };

const PROBLEMS: Readonly<Record<string, string>> = {
  ENOENT: "does not exist",
  ENOTDIR: "does not exist",
  EACCES: "cannot be read: permission denied",
  EPERM: "cannot be read: permission denied",
  ELOOP: "cannot be read: it is a link to itself",
  ENAMETOOLONG: "cannot be read: the name is too long",
};

/** A text file, or what is wrong with it in words that follow its name. Never throws. */
export function readTextFile(path: string): TextRead {
  const refuse = (problem: string) => ({ problem, missing: false });
  try {
    const info = statSync(path);
    if (info.isDirectory()) return refuse("is a folder, not a file");
    if (!info.isFile()) return refuse("is not a regular file");
    if (info.size > MAX_FILE_BYTES) return refuse(`is larger than ${MAX_FILE_BYTES} bytes`);
    return { text: new TextDecoder("utf-8", { fatal: true }).decode(readFileSync(path)) };
  } catch (caught) {
    const code = (caught as NodeJS.ErrnoException).code ?? "";
    if (code === "ERR_ENCODING_INVALID_ENCODED_DATA") return refuse("is not UTF-8 text");
    const problem = PROBLEMS[code] ?? `cannot be read${code === "" ? "" : ` (${code})`}`;
    return { problem, missing: code === "ENOENT" || code === "ENOTDIR" };
  }
}

export interface Dotenv {
  readonly values: Environment;
  readonly path: string | null;
  readonly warnings: readonly string[];
}

/** The `.env` file of a folder, if there is one. */
export function readDotenv(folder: string): Dotenv {
  const path = join(folder, ".env");
  const read = readTextFile(path);
  if ("text" in read) return { values: parseEnv(read.text) as Environment, path, warnings: [] };
  return { values: {}, path: null, warnings: read.missing ? [] : [`.env is ignored: it ${read.problem}`] };
}

/** A path as a person at `cwd` would write it. */
export function display(path: string, cwd: string): string {
  const near = relative(cwd, path);
  return near === "" || near.startsWith("..") || isAbsolute(near) ? path : near;
}

/** A file's name from a variable; an empty one names no file. */
export const named = (name: string | undefined) => (name === undefined || name === "" ? undefined : name);
