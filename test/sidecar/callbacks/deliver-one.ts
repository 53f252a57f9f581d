/** Ends one task and delivers its callback; dies where it is told to. */
import { systemClock } from "../../../core/runtime/clock.js";
import { armFailpoints } from "../../../core/runtime/failpoints.js";
import { createHttpClient } from "../../../core/runtime/http.js";
import { startDelivery } from "../../../sidecar/callbacks/delivery.js";
import { openTasks } from "../../../sidecar/tasks/open-tasks.js";
import { endedTask } from "../tasks/final-tasks.js";
import { quiet } from "../tasks/store-rig.js";

const [dataDir, callback, failpoints] = process.argv.slice(2);
armFailpoints(failpoints!);
const tasks = await openTasks({
  dataDir: dataDir!,
  bounds: () => ({ maxTasks: 10, maxBytes: 2 ** 30 }),
  logger: quiet,
});
const delivery = startDelivery({
  store: tasks.callbacks,
  http: createHttpClient(),
  key: () => null,
  clock: systemClock,
  logger: quiet,
  observer: { called: () => process.stdout.write("told\n") },
});
tasks.store.onChange(() => delivery.wake());
await endedTask(tasks, 1, { task: { callback: callback! } });
