/** A disk that is really full: a small one of our own, in memory. */
import { spawnSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, rmdirSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t, { type Test } from "tap";
import { systemClock } from "../../../core/runtime/clock.js";
import { createReserve } from "../../../sidecar/tasks/reserve.js";
import { removeDue, removeOnFullDisk } from "../../../sidecar/tasks/retention.js";
import { sampleTask } from "../../contract/task-samples.js";
import { requireOrSkip } from "../../helpers/services.js";
import { endedTask } from "./final-tasks.js";
import { openRig, quiet } from "./store-rig.js";

/** @returns the mounted folder, or null where this user may not mount */
function smallDisk(t: Test): string | null {
  const folder = mkdtempSync(join(tmpdir(), "sluice-disk-"));
  t.teardown(() => rmdirSync(folder));
  const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=40m", "tmpfs", folder]);
  const reason = mounted.status === 0 ? null : "this user may not mount";
  if (!requireOrSkip(t, "a disk of its own", reason)) return null;
  t.teardown(() => void spawnSync("umount", ["--lazy", folder]));
  return folder;
}

/** Takes every byte that is left. */
function fillUp(folder: string): void {
  const file = openSync(join(folder, "filler"), "w");
  try {
    for (;;) writeSync(file, Buffer.alloc(4_096));
  } catch {
    closeSync(file);
  }
}

t.test("on a full disk old tasks are removed all the same, and then there is room again", async (t) => {
  const dataDir = smallDisk(t);
  if (dataDir === null) return;
  const reserve = createReserve(dataDir);
  await reserve.fill();
  const rig = await openRig(t, { dataDir });
  const results = async () => {
    for (let i = 1; ; i++) await endedTask(rig, i, { resultBytes: 60_000 });
  };
  await t.rejects(results(), { code: "DISK_FULL" });
  fillUp(dataDir);
  const options = {
    store: rig.retention,
    blobs: rig.blobs,
    reserve,
    settings: () => ({ retentionMs: 0, maxBytes: null }),
    clock: systemClock,
    logger: quiet,
    observer: { removed() {} },
  };
  const { signal } = new AbortController();
  const stored = rig.retention.totals().tasks;
  t.ok(stored > 100, `${stored} results in the database`);
  await t.rejects(removeDue(options, signal), { code: "DISK_FULL" }, "without the reserve nothing moves");
  t.equal(await removeOnFullDisk(options, signal), stored);
  t.same(rig.retention.totals(), { tasks: 0, bytes: 0 });
  for (let i = 0; i < 50; i++) await rig.store.insert(sampleTask());
  t.equal(await reserve.release(), false, "it is given once");
});
