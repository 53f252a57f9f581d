/** A disk of a few MiB that a test can fill. */
import { execFileSync } from "node:child_process";
import { closeSync, openSync, rmSync, writeSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Test } from "tap";

export interface SmallDisk {
  readonly path: string;
  /** Leaves not one byte. */
  fill(): void;
  /** Gives back what {@link fill} took. */
  free(): void;
}

/** @returns why none can be had, or the disk; unmounted with the test */
export async function mountSmallDisk(t: Test, mebibytes: number): Promise<SmallDisk | string> {
  if (process.platform !== "linux" || process.getuid?.() !== 0) return "root on Linux, to mount a tmpfs";
  const path = await mkdtemp(join(tmpdir(), "sluice-disk-"));
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${mebibytes}m`, "sluice-test", path], { stdio: "pipe" });
  } catch (caught) {
    await rm(path, { recursive: true });
    return `a tmpfs cannot be mounted: ${(caught as { stderr?: Buffer }).stderr}`;
  }
  t.teardown(async () => {
    execFileSync("umount", ["--lazy", path]);
    await rm(path, { recursive: true, force: true });
  });
  const filler = join(path, "filler");
  return {
    path,
    fill() {
      const file = openSync(filler, "a");
      try {
        for (const size of [1_048_576, 65_536, 4_096, 1]) writeUntilFull(file, Buffer.alloc(size));
      } finally {
        closeSync(file);
      }
    },
    free: () => rmSync(filler, { force: true }),
  };
}

function writeUntilFull(file: number, chunk: Buffer): void {
  for (;;) {
    try {
      writeSync(file, chunk);
    } catch (caught) {
      if ((caught as { code?: unknown }).code === "ENOSPC") return;
      throw caught;
    }
  }
}
