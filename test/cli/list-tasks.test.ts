/** `sluice tasks list` against the sidecar's own socket and a store with more tasks than one page holds. */
import t from "tap";
import type { TaskDetail } from "../../core/contract/tasks.js";
import { failed, sampleTask } from "../contract/task-samples.js";
import { startApp } from "../sidecar/api/app-rig.js";
import { runSluice } from "./programs/run-sluice.js";

const COUNT = 1_100;
const HOUR_MS = 3_600_000;

t.test("tasks are listed by every filter, whole or a page at a time", async (t) => {
  const { store, socketPath } = await startApp(t);
  const nowMs = Date.now();
  const made = await Promise.all(
    Array.from({ length: COUNT }, (_, at) =>
      store.insert(
        sampleTask({
          createdAtMs: nowMs - (at < 3 ? 5 * HOUR_MS : 0),
          task: at === 4 ? "process_bulk" : "process",
          tenant: at === 5 ? "north" : null,
        }),
      ),
    ),
  );
  const uuids = made.map(({ task }) => task.uuid);
  await store.failWaiting(uuids[6]!, failed("cancelled"));

  const run = async (...args: string[]) => {
    const ended = await runSluice(["tasks", "list", ...args], { env: { SLUICE_SIDECAR_SOCKET: socketPath } });
    t.equal(ended.code, 0, ended.stderr);
    return ended.stdout.toString();
  };
  const listed = async (...args: string[]) =>
    (JSON.parse(await run("--json", ...args)) as TaskDetail[]).map((each) => each.uuid);

  t.same(await listed("--all"), uuids.toReversed(), "over all pages, newest first");
  t.same(await listed("--limit", "600"), uuids.toReversed().slice(0, 600));
  t.equal((await listed()).length, 50);
  t.same(await listed("--task", "process_bulk"), [uuids[4]]);
  t.same(await listed("--tenant", "north", "--class", "interactive", "--model", "gazetteer"), [uuids[5]]);
  t.same(await listed("--status", "failed", "--reason", "cancelled"), [uuids[6]]);
  t.same(await listed("--until", "2h"), uuids.slice(0, 3).toReversed());
  t.equal((await listed("--since", "2h", "--all")).length, COUNT - 3);
  t.same(await listed("--since", new Date(nowMs + HOUR_MS).toISOString()), []);
  t.equal(await run("--model", "nobody"), "", "a program gets nothing rather than words");
  const lines = (await run("--limit", "2")).trimEnd().split("\n");
  t.equal(lines.length, 2);
  t.match(lines[0]!.split("\t").slice(0, 6), [uuids.at(-1), "pending", "gazetteer", "process", "interactive", "2"]);
});
