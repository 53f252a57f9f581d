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
          ...(at === 1 || at > 5 ? { task: "process_bulk", tenant: "north" } : {}),
        }),
      ),
    ),
  );
  const uuids = made.map(({ task }) => task.uuid);
  await store.failWaiting(uuids[1]!, failed("cancelled"));

  const run = async (...args: string[]) => {
    const ended = await runSluice(["tasks", "list", ...args], { env: { SLUICE_SIDECAR_SOCKET: socketPath } });
    t.equal(ended.code, 0, ended.stderr);
    return ended.stdout.toString();
  };
  const listed = async (...args: string[]) =>
    (JSON.parse(await run("--json", ...args)) as TaskDetail[]).map((each) => each.uuid);

  t.same(await listed("--all"), uuids.toReversed(), "over all pages, newest first");
  t.equal((await listed()).length, 50, "as many as fit a screen, unless told otherwise");
  const every = ["--model", "gazetteer", "--task", "process_bulk", "--class", "interactive", "--tenant", "north"];
  t.same(await listed(...every, "--status", "failed", "--reason", "cancelled", "--since", "6h", "--until", "2h"), [
    uuids[1],
  ]);
  t.equal(await run("--model", "nobody"), "", "a program gets nothing rather than words");
  const lines = (await run("--limit", "2")).trimEnd().split("\n");
  t.equal(lines.length, 2);
  t.match(lines[0]!.split("\t").slice(0, 6), [
    uuids.at(-1),
    "pending",
    "gazetteer",
    "process_bulk",
    "interactive",
    "2",
  ]);
});
