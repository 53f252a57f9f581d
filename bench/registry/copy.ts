/** What the disk alone does: `cp` and `sync` of the same bytes, as often and as many at a time. */
import { execFile } from "node:child_process";
import { once } from "node:events";
import { createWriteStream, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { CHUNK_BYTES, type Shape } from "./messages.js";

const run = promisify(execFile);

export async function makeSource(folder: string, bytes: number): Promise<string> {
  const path = join(folder, `source-${bytes}`);
  const file = createWriteStream(path);
  const chunk = Buffer.alloc(CHUNK_BYTES, "Seen on 3 March 2021 by Dr Khan. ");
  for (let left = bytes; left > 0; left -= CHUNK_BYTES) {
    if (!file.write(left >= CHUNK_BYTES ? chunk : chunk.subarray(0, left))) await once(file, "drain");
  }
  file.end();
  await once(file, "close");
  return path;
}

/** @returns seconds */
export async function copyAndSync(source: string, folder: string, { atATime, times }: Shape): Promise<number> {
  const target = mkdtempSync(join(folder, "copy-"));
  const startMs = performance.now();
  await Promise.all(
    Array.from({ length: atATime }, async (_, index) => {
      for (let time = 0; time < times; time++) {
        await run("sh", ["-c", 'cp "$0" "$1" && sync "$1"', source, join(target, `${index}-${time}`)]);
      }
    }),
  );
  const seconds = (performance.now() - startMs) / 1_000;
  rmSync(target, { recursive: true });
  return seconds;
}
