/** Events reach the watcher at once, with place and time while the task waits. */
import t from "tap";
import type { TaskEvent } from "../../../core/contract/tasks.js";
import { sampleTask, succeeded } from "../../contract/task-samples.js";
import { startApp } from "./app-rig.js";

const CLASSES = ["interactive"];

async function* eventsOf(body: AsyncIterable<Buffer>): AsyncGenerator<TaskEvent> {
  let text = "";
  for await (const chunk of body) {
    text += chunk;
    const events = text.split("\n\n");
    text = events.pop()!;
    for (const event of events) yield JSON.parse(event.split("data: ")[1]!) as TaskEvent;
  }
}

t.test("a final state is pushed as soon as it is committed", async (t) => {
  const { call, store } = await startApp(t);
  const latenciesMs: number[] = [];
  for (let each = 0; each < 15; each++) {
    const { uuid } = (await store.insert(sampleTask())).task;
    await store.claim("gazetteer", CLASSES, 0);
    let committedAt = Number.NaN;
    const stream = await call("GET", `/tasks/${uuid}/events`);
    for await (const event of eventsOf(stream.body)) {
      if (event.status === "scheduled") {
        void store.finish(uuid, 1, succeeded()).then(() => {
          committedAt = performance.now();
        });
      } else {
        t.equal(event.status, "succeeded");
        latenciesMs.push(performance.now() - committedAt);
      }
    }
  }
  latenciesMs.sort((one, other) => one - other);
  t.comment(`median ${latenciesMs[7]!.toFixed(1)} ms, worst ${latenciesMs.at(-1)!.toFixed(1)} ms`);
  t.ok(latenciesMs[7]! < 250, "pushed, not found by looking again each second");
});

t.test("a waiting task's events tell how many go before it and when it starts", async (t) => {
  const { call, store } = await startApp(t);
  const uuids: string[] = [];
  for (let each = 0; each < 3; each++)
    uuids.push((await store.insert(sampleTask({ createdAtMs: Date.now() }))).task.uuid);
  await store.claim("gazetteer", CLASSES, Date.now());
  const stream = await call("GET", `/tasks/${uuids[2]}/events`);
  const seen: Partial<TaskEvent>[] = [];
  for await (const { status, position, eta_seconds } of eventsOf(stream.body)) {
    seen.push({ status, position, eta_seconds });
    if (seen.length === 1) {
      await new Promise((resolve) => setTimeout(resolve, 1_100));
      await store.finish(uuids[0]!, 1, succeeded());
      await store.claim("gazetteer", CLASSES, Date.now());
    } else if (seen.length === 2) {
      await store.claim("gazetteer", CLASSES, Date.now());
      await store.finish(uuids[2]!, 1, succeeded());
    }
  }
  t.same(seen[0], { status: "pending", position: 1, eta_seconds: null }, "nothing has run yet");
  t.match(seen[1], { status: "pending", position: 0, eta_seconds: Number }, "one has, and another runs now");
  t.ok(seen[1]!.eta_seconds! <= 10, `${seen[1]!.eta_seconds}`);
  t.match(seen.at(-1), { status: "succeeded", position: null, eta_seconds: null });
});
