/** Gated requests share the permits with tasks: urgency first, and nobody is passed over for ever. */
import t, { type Test } from "tap";
import { systemClock } from "../../../core/runtime/clock.js";
import type { ModelCatalogue } from "../../../sidecar/models/catalogue.js";
import { createGate } from "../../../sidecar/scheduler/gate.js";
import { createPermits } from "../../../sidecar/scheduler/limiter.js";

const MODEL = { name: "m", state: "ready", concurrency: 1 };
const catalogue = { lease: () => () => {}, ensureReady: async () => MODEL } as unknown as ModelCatalogue;

function startGate(t: Test, options: { ageingMs?: number; maxWaiting?: number; taskUrgency?: number } = {}) {
  const permits = createPermits({ maxConcurrentTasks: 1, budgets: new Map() });
  t.teardown(() => permits.stop());
  const gate = createGate({
    catalogue,
    permits,
    clock: systemClock,
    ageingMs: () => options.ageingMs ?? 60_000,
    taskUrgency: () => options.taskUrgency ?? Number.POSITIVE_INFINITY,
    priorityOf: (_class, asked) => asked ?? 5,
    weightOf: () => 1,
    startTimeoutMs: () => 1_000,
    maxWaiting: () => options.maxWaiting ?? 100,
  });
  const order: number[] = [];
  const enter = async (priority: number, signal = new AbortController().signal, tenant: string | null = null) => {
    const request = { model: "m", class: "batch", priority, tenant, requestId: `${priority}` };
    const release = await gate.acquire(request, signal);
    order.push(priority);
    return release;
  };
  return { gate, permits, enter, order };
}

t.test("the urgent one is let in before those that came earlier", async (t) => {
  const { gate, enter, order } = startGate(t);
  const release = await enter(5);
  const waiting = [7, 5, 0].map((priority) => enter(priority));
  await systemClock.sleep(20);
  t.equal(gate.urgency(), 0);
  release();
  for (const next of [waiting[2]!, waiting[1]!, waiting[0]!]) (await next)();
  t.same(order, [5, 0, 5, 7]);
  t.equal(gate.urgency(), Number.POSITIVE_INFINITY);
});

t.test("under a permanent load of urgent requests a low one is let in within its bound", async (t) => {
  const { enter, order } = startGate(t, { ageingMs: 20 });
  const release = await enter(0);
  let isLoading = true;
  const low = enter(9).then((leave) => {
    isLoading = false;
    leave();
  });
  const load = async () => {
    while (isLoading) {
      const leave = await enter(0);
      await systemClock.sleep(2);
      leave();
    }
  };
  const loads = [load(), load(), load()];
  release();
  await low;
  await Promise.all(loads);
  t.ok(order.includes(9));
});

t.test("whoever hangs up while it waits gives nothing away and takes nothing", async (t) => {
  const { gate, enter } = startGate(t);
  const release = await enter(5);
  const gone = new AbortController();
  const waiting = enter(1, gone.signal);
  gone.abort(new Error("hung up"));
  await t.rejects(waiting, { message: "hung up" });
  t.equal(gate.urgency(), Number.POSITIVE_INFINITY);
  release();
  (await enter(5))();
});

t.test("the bound on those that wait refuses the next with when to come back", async (t) => {
  const { enter } = startGate(t, { maxWaiting: 1 });
  const release = await enter(5);
  const waiting = enter(5);
  await t.rejects(enter(5), { code: "QUEUE_FULL", retryAfterMs: Number });
  release();
  (await waiting)();
});

t.test("a crowd of gated requests lets a task in between, and not only after all of them", async (t) => {
  const { permits, enter, order } = startGate(t);
  const release = await enter(5);
  const crowd = Array.from({ length: 50 }, () => enter(5).then((leave) => leave()));
  await systemClock.sleep(20);
  const ofTask = permits.request({ model: "m", class: "batch", priority: 5, training: false, concurrency: 1 });
  release();
  const permit = await ofTask;
  t.ok(order.length <= 3, `${order.length} of 51 passed first`);
  permit.release();
  await Promise.all(crowd);
});

t.test("a tenant's one request passes beside another tenant's crowd", async (t) => {
  const { enter } = startGate(t);
  const release = await enter(5);
  const passed: string[] = [];
  const from = async (tenant: string) => {
    const leave = await enter(5, undefined, tenant);
    passed.push(tenant);
    leave();
  };
  const all = Array.from({ length: 50 }, () => from("flood"));
  await systemClock.sleep(20);
  all.push(from("single"));
  await systemClock.sleep(20);
  release();
  await Promise.all(all);
  t.ok(passed.indexOf("single") <= 1, `${passed.indexOf("single")} passed before it`);
});

t.test("a crowd that hangs up leaves its turns to those who come after it", async (t) => {
  const { enter } = startGate(t);
  const release = await enter(5);
  const gone = new AbortController();
  const crowd = Array.from({ length: 20 }, () => enter(5, gone.signal, "flood"));
  await systemClock.sleep(20);
  gone.abort(new Error("hung up"));
  for (const each of crowd) await t.rejects(each, { message: "hung up" });
  const passed: string[] = [];
  const all = ["flood", "other", "other"].map(async (tenant) => {
    const leave = await enter(5, undefined, tenant);
    passed.push(tenant);
    leave();
  });
  release();
  await Promise.all(all);
  t.same(passed, ["flood", "other", "other"]);
});
