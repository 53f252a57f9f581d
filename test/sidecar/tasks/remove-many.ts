/** Ends many tasks, every other one with a large result, then lets retention at them; dies where it is told to. */
import { systemClock } from "../../../core/runtime/clock.js";
import { armFailpoints } from "../../../core/runtime/failpoints.js";
import { openTasks } from "../../../sidecar/tasks/open-tasks.js";
import { createReserve } from "../../../sidecar/tasks/reserve.js";
import { removeDue } from "../../../sidecar/tasks/retention.js";
import { sampleTask } from "../../contract/task-samples.js";
import { endedTask } from "./final-tasks.js";
import { quiet } from "./store-rig.js";

const [dataDir, failpoints] = process.argv.slice(2);
const options = { dataDir: dataDir!, bounds: () => ({ maxTasks: 1e6, maxBytes: 2 ** 40 }), logger: quiet };
const filling = await openTasks(options);
await Promise.all(
  Array.from({ length: 130 }, (_, i) => endedTask(filling, i + 1, { resultBytes: i % 2 === 0 ? 100 : 70_000 })),
);
await filling.store.insert(sampleTask());
await filling.store.close();

armFailpoints(failpoints!);
const { retention, blobs } = await openTasks(options);
process.stdout.write("removing\n");
await removeDue(
  {
    store: retention,
    blobs,
    reserve: createReserve(dataDir!),
    settings: () => ({ retentionMs: 0, maxBytes: null }),
    clock: systemClock,
    logger: quiet,
    observer: { removed() {} },
  },
  new AbortController().signal,
);
process.stdout.write("removed\n");
