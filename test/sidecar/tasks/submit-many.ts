/** Submits many tasks at once, every other one with a large body, and prints each uuid once it is durable. */
import { randomUUID } from "node:crypto";
import { configSchema } from "../../../config/schema.js";
import type { Submission } from "../../../core/contract/tasks.js";
import { armFailpoints } from "../../../core/runtime/failpoints.js";
import { openTasks } from "../../../sidecar/tasks/open-tasks.js";
import { submitTask } from "../../../sidecar/tasks/submit.js";
import { quiet } from "./store-rig.js";

const [dataDir, count, failpoints] = process.argv.slice(2);
armFailpoints(failpoints ?? null);
const config = configSchema.parse({});
const bounds = () => ({ maxTasks: 1e6, maxBytes: 2 ** 40 });
const { store, blobs } = await openTasks({ dataDir: dataDir!, bounds, logger: quiet });

async function* body(size: number): AsyncGenerator<Buffer> {
  for (let sent = 0; sent < size; sent += 50_000) yield Buffer.alloc(50_000, "note ");
}

function submission(): Submission {
  return {
    uuid: randomUUID(),
    model: "gazetteer",
    task: "process_bulk",
    method: "POST",
    path: "/process_bulk",
    headers: ["Content-Type", "application/json"],
    class: "batch",
    priority: null,
    tenant: null,
    deadlineMs: null,
    mode: "async",
    requestId: "r",
    source: "ip=N/A; ua=N/A",
    idempotencyKey: null,
    callback: null,
    forceTrackingId: false,
  };
}

await Promise.all(
  Array.from({ length: Number(count) }, async (_, index) => {
    const deps = { store, blobs, config: () => config, anticipate: () => {}, now: Date.now };
    const { task } = await submitTask(deps, submission(), body(index % 2 === 0 ? 1_000 : 200_000));
    process.stdout.write(`${task.uuid}\n`);
  }),
);
await store.close();
