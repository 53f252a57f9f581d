/** Copies what the compiler leaves behind (SQL, protocol files) into `dist/`, and removes there what the source tree no longer has. */
import { cpSync, existsSync, mkdirSync, readdirSync, realpathSync, rmSync } from "node:fs";
import { dirname, extname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const EXTENSIONS: ReadonlySet<string> = new Set([".sql", ".lua", ".proto"]);
/** The folders the compiler reads (tsconfig.json). */
const FOLDERS = ["core", "config", "proxy", "sidecar", "cli", "examples", "bench", "test"];

/** @returns the files copied, relative to the root, sorted */
export function copyAssets(root: string): string[] {
  const dist = join(root, "dist");
  const wanted = FOLDERS.flatMap((folder) => listAssets(join(root, folder))).map((file) => relative(root, file));
  for (const file of wanted) {
    mkdirSync(dirname(join(dist, file)), { recursive: true });
    cpSync(join(root, file), join(dist, file));
  }
  const present = FOLDERS.flatMap((folder) => listAssets(join(dist, folder))).map((file) => relative(dist, file));
  for (const stale of present.filter((file) => !wanted.includes(file))) rmSync(join(dist, stale));
  return wanted.sort();
}

function listAssets(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return entry.name === "node_modules" ? [] : listAssets(path);
    return EXTENSIONS.has(extname(entry.name)) ? [path] : [];
  });
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  copyAssets(join(dirname(fileURLToPath(import.meta.url)), "..", ".."));
}
