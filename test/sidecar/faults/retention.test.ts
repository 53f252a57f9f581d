/** The n-th call for a file or for the database fails while old tasks are removed, for every n: what is left goes with the next look. */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { systemClock } from "../../../core/runtime/clock.js";
import { armFailpoints } from "../../../core/runtime/failpoints.js";
import { createReserve } from "../../../sidecar/tasks/reserve.js";
import { removeOnFullDisk } from "../../../sidecar/tasks/retention.js";
import { endedTask } from "../tasks/final-tasks.js";
import { openRig, quiet } from "../tasks/store-rig.js";
import { armed, COUNTING } from "./rig.js";

const FAULTS = [
  "db.read=throw:SQLITE_IOERR_READ",
  "db.write=throw:SQLITE_IOERR_WRITE",
  "db.write=throw:SQLITE_FULL",
  "file.call=throw:EIO",
];
const MOST_CALLS = 100;

for (const fault of FAULTS) {
  t.test(`retention: ${fault}`, async (t) => {
    armFailpoints(COUNTING);
    t.teardown(() => armFailpoints(null));
    const rig = await openRig(t);
    const options = {
      store: rig.retention,
      blobs: rig.blobs,
      reserve: createReserve(rig.dataDir),
      settings: () => ({ retentionMs: 1_000, maxBytes: null }),
      clock: { ...systemClock, now: () => 1_000_000 },
      logger: quiet,
      observer: { removed() {} },
    };
    const look = () => removeOnFullDisk(options, new AbortController().signal);
    let calls = 0;
    for (let reached = 1; reached > 0 && calls < MOST_CALLS; calls++) {
      const [file, inline] = [await endedTask(rig, 1_000, { resultBytes: 100_000 }), await endedTask(rig, 1_000)];
      const kept = await endedTask(rig, 999_999);
      reached = await armed(`${fault}@${calls + 1}`, async () => {
        await look().catch(() => undefined);
      });
      await look();
      t.equal(rig.store.get(file.uuid) ?? rig.store.get(inline.uuid), null, "the next look takes what is left");
      t.ok(rig.store.get(kept.uuid), "and nothing else");
      if (!fault.startsWith("file.call")) t.notOk(existsSync(join(rig.dataDir, file.key!)), "its file is gone");
    }
    t.ok(calls > 1 && calls < MOST_CALLS, `each of ${calls - 1} calls failed once`);
    // A file that could not be removed is one that no row names: the sweep of the next start takes it.
    await rig.blobs.sweep((key) => rig.store.namesBlob(key));
    t.same(readdirSync(join(rig.dataDir, "results")), []);
  });
}
