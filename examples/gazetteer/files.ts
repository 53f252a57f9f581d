import { open, rename } from "node:fs/promises";
import { dirname } from "node:path";

/** Writes a file so that after a power cut there is the old one or the new one, never a part: temporary file, fsync, rename, fsync. */
export async function writeFileSafely(path: string, content: string | Buffer): Promise<void> {
  const temporary = `${path}.${process.pid}.tmp`;
  const file = await open(temporary, "w");
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
  const folder = await open(dirname(path), "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
