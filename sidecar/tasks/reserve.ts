/**
 * Room for the way out of a full disk. SQLite needs space to delete: its log grows first, and pages can only be used again once the
 * log has been written back. So a file holds some, and is emptied when a removal finds the disk full.
 */
import { randomBytes } from "node:crypto";
import { open, stat, statfs, truncate } from "node:fs/promises";
import { join } from "node:path";
import { isDiskFull } from "../../core/contract/errors.js";

/** A log that was just short of being written back, and one batch of removals. */
const RESERVE_BYTES = 8 * 2 ** 20;
const CHUNK_BYTES = 2 ** 20;

export interface Reserve {
  /** Makes it whole, where the disk has at least twice the room for it. */
  fill(): Promise<void>;
  /** Gives the room back. @returns false when there was none held */
  release(): Promise<boolean>;
}

export function createReserve(dataDir: string): Reserve {
  const file = join(dataDir, "reserve");
  const sizeNow = () =>
    stat(file)
      .then(({ size }) => size)
      .catch(() => 0);
  return {
    async fill() {
      if ((await sizeNow()) >= RESERVE_BYTES || (await freeBytes(dataDir)) < 2 * RESERVE_BYTES) return;
      const handle = await open(file, "w", 0o600);
      try {
        // Random, because some file systems store zeros in no space at all.
        for (let done = 0; done < RESERVE_BYTES; done += CHUNK_BYTES) await handle.write(randomBytes(CHUNK_BYTES));
      } catch (caught) {
        await handle.truncate(0);
        if (!isDiskFull(caught)) throw caught;
      } finally {
        await handle.close();
      }
    },
    async release() {
      if ((await sizeNow()) === 0) return false;
      await truncate(file, 0);
      return true;
    },
  };
}

async function freeBytes(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}
