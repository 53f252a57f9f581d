/** Promise 10: after `kill -9` the service is back within 5 s with 100,000 tasks in the queue. */
import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { migrate } from "../../sidecar/db/migrate.js";
import { openForWriting } from "../../sidecar/db/open.js";
import { prepareWrites } from "../../sidecar/tasks/sqlite-writes.js";
import { newTaskRecord } from "../../sidecar/tasks/task-record.js";
import { startSluice } from "../helpers/sluice.js";

const TASKS = 100_000;
const WITHIN_MS = 5_000;

t.test("after kill -9 the service is back within 5 s with 100,000 tasks in the queue", async (t) => {
  const dataDir = await mkdtemp(join(tmpdir(), "sluice-full-"));
  t.teardown(() => rm(dataDir, { recursive: true, force: true }));
  await fillQueue(dataDir);

  // Nobody listens there: the queue stays as it is.
  const config = {
    discovery: { static: [{ name: "m", url: "http://127.0.0.1:9" }], docker: { enabled: false as const } },
  };
  const first = await startSluice(t, { config, dataDir });
  process.kill(first.pid, "SIGKILL");
  await first.exited;

  const startedAtMs = Date.now();
  const second = await startSluice(t, { config, dataDir, port: first.port });
  const answer = await fetch(`${second.url}/models/m/tasks/process`, {
    method: "POST",
    headers: { "content-type": "text/plain", "idempotency-key": "one-more" },
    body: "3 March 2021",
  });
  const tookMs = Date.now() - startedAtMs;
  t.equal(answer.status, 429, "the queue is full, and says so");
  t.ok(tookMs < WITHIN_MS, `back after ${tookMs} ms`);
});

/** Writes the rows as the store would, but in one transaction: waiting for a commit per row shows nothing here. */
async function fillQueue(dataDir: string): Promise<void> {
  const database = openForWriting(join(dataDir, "sluice.db"));
  try {
    migrate(database);
    const { insertTask } = prepareWrites(database);
    const bounds = { maxTasks: TASKS, maxBytes: 2 ** 40 };
    database.exec("BEGIN");
    for (let left = TASKS; left > 0; left--) insertTask!(newTaskRecord(newTask()), { bounds, weight: 1 });
    database.exec("COMMIT");
  } finally {
    database.close();
  }
}

function newTask() {
  const uuid = randomUUID();
  return {
    uuid,
    model: "m",
    task: "process",
    method: "POST",
    path: "/process",
    headers: [],
    class: "interactive",
    priority: 2,
    tenant: null,
    mode: "task" as const,
    source: "ip=127.0.0.1; ua=test",
    requestId: uuid,
    forceTrackingId: false,
    createdAtMs: Date.now(),
    deadlineAtMs: null,
    idempotencyKey: null,
    callback: null,
    payload: { kind: "inline" as const, bytes: Buffer.from("3 March 2021"), sha256: "0" },
  };
}
