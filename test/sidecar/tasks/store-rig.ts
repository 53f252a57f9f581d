/** A store on a real database in a test's own folder. */
import { join } from "node:path";
import type { Test } from "tap";
import { createLogger } from "../../../core/runtime/logger.js";
import { openTasks } from "../../../sidecar/tasks/open-tasks.js";
import { makeFolder } from "../../helpers/folder.js";

export const quiet = createLogger({ level: "silent", format: "json", process: "test" });

export async function openRig(
  t: Test,
  options: { dataDir?: string; bounds?: { maxTasks: number; maxBytes: number }; onDeath?: (error: Error) => void } = {},
) {
  const dataDir = options.dataDir ?? makeFolder(t);
  const bounds = options.bounds ?? { maxTasks: 1_000_000, maxBytes: 2 ** 40 };
  const opened = await openTasks({
    dataDir,
    bounds: () => bounds,
    logger: quiet,
    ...(options.onDeath === undefined ? {} : { onDeath: options.onDeath }),
  });
  t.teardown(() => opened.store.close());
  return { ...opened, dataDir, bounds, file: join(dataDir, "sluice.db") };
}
