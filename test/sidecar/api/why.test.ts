/** What a waiting task is told: place, time and reasons, from a real store and real permits. */
import t, { type Test } from "tap";
import type { TaskWhy } from "../../../core/contract/tasks.js";
import { failed, sampleTask, succeeded } from "../../contract/task-samples.js";
import { type GAZETTEER, startApp } from "./app-rig.js";

const CLASSES = ["interactive"];
type Rig = Awaited<ReturnType<typeof startApp>>;

async function whyOf({ ask }: Rig, uuid: string): Promise<TaskWhy> {
  const { status, headers, json } = await ask("GET", `/tasks/${uuid}/why`);
  if (status !== 200 || headers["sluice-task-id"] !== uuid) throw new Error(`answered ${status}`);
  return json;
}

const codes = (why: TaskWhy) => why.waiting_for.map(({ code }) => code);

/** Runs one task of the lane for about this long, so that its run time is known. */
async function runOne({ store }: Rig, tookMs: number): Promise<void> {
  const { uuid } = (await store.insert(sampleTask({ createdAtMs: Date.now() }))).task;
  await store.claim("gazetteer", CLASSES, Date.now());
  await new Promise((resolve) => setTimeout(resolve, tookMs));
  await store.finish(uuid, 1, succeeded());
}

async function waiting({ store }: Rig, count: number): Promise<string[]> {
  const made: string[] = [];
  for (let each = 0; each < count; each++)
    made.push((await store.insert(sampleTask({ createdAtMs: Date.now() }))).task.uuid);
  return made;
}

/** Takes the model's one slot, as the dispatcher does. */
async function occupy(t: Test, { permits }: Rig): Promise<void> {
  const permit = await permits.request({
    model: "gazetteer",
    class: "interactive",
    priority: 2,
    training: false,
    concurrency: 1,
  });
  t.teardown(() => permit.release());
}

t.test("a task in the queue is told its place, its time and what it waits for", async (t) => {
  const rig = await startApp(t);
  await runOne(rig, 1_100);
  await occupy(t, rig);
  const [running, , third] = await waiting(rig, 3);
  await rig.store.claim("gazetteer", CLASSES, Date.now());
  const why = await whyOf(rig, third!);
  t.match(why, { uuid: third, status: "pending", position: 1 });
  // The lane's one run took about 1.1 s; a busy machine makes it more.
  t.ok(why.eta_seconds! >= 1 && why.eta_seconds! <= 10, `${why.eta_seconds} s`);
  t.same(codes(why), ["ahead", "model_slot"]);
  t.match(
    why.summary,
    /^It waits for 1 task that goes before it and a slot of model 'gazetteer'; it starts in about \d+ s\.$/,
  );
  const soonMs = Date.parse(why.waiting_for[1]!.until!) - Date.now();
  t.ok(soonMs < 5_000, `the slot comes free in ${soonMs} ms`);
  t.match(await whyOf(rig, running!), {
    status: "scheduled",
    waiting_for: [],
    position: null,
    eta_seconds: null,
    summary: /^Model 'gazetteer' has it since .*, attempt 1\.$/,
  });
});

t.test("the detail of a waiting task ends with its place and time; later they are gone", async (t) => {
  const rig = await startApp(t);
  const [uuid] = await waiting(rig, 1);
  const { json } = await rig.ask("GET", `/tasks/${uuid}?detail=true`);
  t.same(Object.keys(json).slice(-3), ["position", "eta_seconds", "not_before"]);
  t.match(json, { position: 0, eta_seconds: 0, not_before: null });
  await rig.store.claim("gazetteer", CLASSES, Date.now());
  await rig.store.requeue(uuid!, 1, Date.now() + 60_000, { cause: "busy", note: "the trainer is busy" });
  const retried = (await rig.ask("GET", `/tasks/${uuid}?detail=true`)).json;
  t.ok(Math.abs(Date.parse(retried.not_before) - Date.now() - 60_000) < 5_000, retried.not_before);
  t.ok(retried.eta_seconds >= 50 && retried.eta_seconds <= 60, retried.eta_seconds);
  t.match(await whyOf(rig, uuid!), {
    waiting_for: [{ code: "not_before", message: /put back: the trainer is busy$/ }],
  });
  await rig.store.failWaiting(uuid!, failed("cancelled"));
  t.notOk("position" in (await rig.ask("GET", `/tasks/${uuid}?detail=true`)).json);
  t.match(await whyOf(rig, uuid!), { status: "failed", waiting_for: [], summary: /^It failed \(cancelled\) at / });
});

t.test("a model that is started is waited for as long as its last starts took", async (t) => {
  const rig = await startApp(t);
  const [uuid] = await waiting(rig, 1);
  const onDemand: Partial<typeof GAZETTEER> = { onDemand: true };
  rig.models.change({ ...onDemand, state: "absent" });
  t.match(await whyOf(rig, uuid!), { eta_seconds: null, waiting_for: [{ code: "model_starting", until: null }] });
  rig.models.change({ state: "starting" });
  await new Promise((resolve) => setTimeout(resolve, 1_600));
  rig.models.change({ state: "ready" });
  t.match(await whyOf(rig, uuid!), { eta_seconds: 0, waiting_for: [] });
  rig.models.change({ state: "absent" });
  const absent = await whyOf(rig, uuid!);
  t.match(absent, { waiting_for: [{ code: "model_starting", until: String }] });
  t.ok(absent.eta_seconds! >= 2 && absent.eta_seconds! <= 10, `${absent.eta_seconds} s`);
  rig.models.change({ state: "draining" });
  t.match(await whyOf(rig, uuid!), { eta_seconds: null, waiting_for: [{ code: "draining" }] });
});

t.test("a class's used-up budget is told, from the limiter itself", async (t) => {
  const rig = await startApp(t);
  await rig.permits.reconfigure({
    maxConcurrentTasks: 4,
    budgets: new Map([["interactive", { amount: 1, refreshMs: 60_000 }]]),
  });
  const [uuid] = await waiting(rig, 1);
  t.same(codes(await whyOf(rig, uuid!)), []);
  await occupy(t, rig);
  t.same(codes(await whyOf(rig, uuid!)), ["class_budget", "model_slot"]);
});

t.test("asking why leaves everything as it was", async (t) => {
  const rig = await startApp(t);
  const [uuid] = await waiting(rig, 1);
  const before = rig.store.get(uuid!);
  await whyOf(rig, uuid!);
  t.same(rig.store.get(uuid!), before);
  t.match(await rig.permits.state({ model: "gazetteer", class: "interactive", concurrency: 1 }), {
    global: { running: 0 },
    model: { running: 0 },
  });
  t.match(await rig.ask("GET", "/tasks/nobody/why"), { status: 404, json: { error: { code: "TASK_NOT_FOUND" } } });
});
