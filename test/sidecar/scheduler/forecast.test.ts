/** Estimates over a real store, on a clock of the test's own. */
import t, { type Test } from "tap";
import type { ModelEntry } from "../../../core/contract/models.js";
import { type Clock, systemClock } from "../../../core/runtime/clock.js";
import type { ModelCatalogue } from "../../../sidecar/models/catalogue.js";
import { createForecast } from "../../../sidecar/scheduler/forecast.js";
import { createPermits } from "../../../sidecar/scheduler/limiter.js";
import type { ClassBudget } from "../../../sidecar/scheduler/limiter-entry.js";
import type { Rate } from "../../../sidecar/scheduler/rate.js";
import type { NewTask } from "../../../sidecar/tasks/store.js";
import { failed, sampleAnswer, sampleTask, succeeded } from "../../contract/task-samples.js";
import { GAZETTEER, oneModel } from "../api/app-rig.js";
import { openRig } from "../tasks/store-rig.js";

const START_MS = 1_700_000_000_000;

interface Given {
  readonly concurrency?: number;
  readonly slots?: number;
  readonly budget?: ClassBudget;
  readonly rate?: Rate;
}

async function startForecast(t: Test, given: Given = {}) {
  const { store } = await openRig(t);
  let elapsedMs = 0;
  let jumpMs = 0;
  const clock: Clock = { ...systemClock, now: () => START_MS + elapsedMs + jumpMs, elapsed: () => elapsedMs };
  const gazetteer = oneModel();
  gazetteer.change({ concurrency: given.concurrency ?? 1 });
  const other: ModelEntry = { ...GAZETTEER, name: "other", concurrency: 9 };
  const catalogue: ModelCatalogue = {
    ...gazetteer.catalogue,
    get: (name) => (name === "other" ? other : gazetteer.catalogue.get(name)),
  };
  const budgets = new Map(given.budget === undefined ? [] : [["interactive", given.budget]]);
  const settings = { maxConcurrentTasks: given.slots ?? 4, budgets, rateOf: () => given.rate ?? null };
  const permits = createPermits(settings, { clock });
  t.teardown(() => permits.stop());
  let isAway = false;
  const create = () => {
    const reachable = { rateWait: permits.rateWait, isAway: () => isAway };
    const made = createForecast({ store, catalogue, clock, permits: reachable, limits: () => settings });
    t.teardown(made.stop);
    return made;
  };
  const submit = async (change: Partial<NewTask> = {}) =>
    (await store.insert(sampleTask({ createdAtMs: clock.now(), ...change }))).task.uuid;
  const claim = async (model = "gazetteer") =>
    (await store.claim(model, ["interactive", "training"], clock.now()))!.task;
  const end = (uuid: string, outcome = succeeded()) => store.finish(uuid, 1, { ...outcome, finishedAtMs: clock.now() });
  return {
    ...{ store, permits, create, submit, claim, end },
    setAway: (away: boolean) => {
      isAway = away;
    },
    pass: (spanMs: number) => (elapsedMs += spanMs),
    jump: (spanMs: number) => (jumpMs += spanMs),
  };
}

t.test("each run teaches how long the next ones wait", async (t) => {
  const { store, create, submit, claim, end, pass } = await startForecast(t);
  const forecast = create();
  const uuids = [await submit(), await submit(), await submit()];
  const last = () => forecast.estimateSeconds(store.get(uuids[2]!)!, store.position(uuids[2]!)!);
  t.equal(last(), null, "nothing has run yet");
  await claim();
  pass(10_000);
  await end(uuids[0]!);
  t.equal(last(), 10, "one goes before it");
  await claim();
  pass(4_000);
  t.equal(last(), 6, "what runs has 6 s to go");
  pass(26_000);
  t.equal(last(), 3, "it has outlasted its mean by far: a tenth of what it took so far");
});

t.test("what runs now is counted from its start, whatever somebody does to the machine's clock", async (t) => {
  const { store, create, submit, claim, end, pass, jump } = await startForecast(t);
  const forecast = create();
  const first = await submit();
  await claim();
  pass(10_000);
  await end(first);
  await submit();
  await claim();
  const waiting = store.get(await submit())!;
  pass(2_000);
  for (const spanMs of [86_400_000, -2 * 86_400_000]) {
    jump(spanMs);
    t.equal(forecast.estimateSeconds(waiting, 0), 8);
  }
});

t.test("after a restart it knows what ran, and what still runs", async (t) => {
  const { store, create, submit, claim, end, pass } = await startForecast(t);
  for (let run = 0; run < 3; run++) {
    const uuid = await submit();
    await claim();
    pass(20_000);
    await end(uuid);
  }
  const training = await submit({ class: "training", task: "train_supervised" });
  await claim();
  await store.markRunning(training, 1, "run", sampleAnswer());
  await submit();
  await claim();
  pass(5_000);
  const forecast = create();
  forecast.seed(["interactive", "batch", "training"]);
  const waiting = store.get(await submit())!;
  t.equal(forecast.estimateSeconds(waiting, 0), 15, "the call that runs goes on for 15 s");
  const next = store.get(await submit({ class: "training", task: "train_supervised" }))!;
  t.match(forecast.expect(next, 0), { startMs: null, slotMs: null }, "no training has ended yet");
});

t.test("an end that tells nothing of run times teaches nothing", async (t) => {
  const { store, create, submit, claim, end, pass } = await startForecast(t);
  const forecast = create();
  for (const reason of ["model_unavailable", "internal"] as const) {
    const uuid = await submit();
    await claim();
    pass(1);
    await end(uuid, failed(reason));
  }
  const retried = await submit();
  await claim();
  pass(5);
  await store.requeue(retried, 1, 0, null);
  t.equal(forecast.estimateSeconds(store.get(await submit())!, 3), null);
});

t.test("slots that other models hold, retries and budgets are waited for too", async (t) => {
  const budget = { amount: 2, refreshMs: 60_000 };
  const { store, create, submit, claim, end, pass } = await startForecast(t, { concurrency: 2, slots: 2, budget });
  const forecast = create();
  const seconds = (uuid: string, position = 0) => forecast.estimateSeconds(store.get(uuid)!, position);
  for (let run = 0; run < 2; run++) await submit({ model: "other", class: "training", task: "process" });
  const [one, two] = [await claim("other"), await claim("other")];
  pass(7_000);
  await end(one.uuid);
  const waiting = await submit();
  t.equal(seconds(waiting), 0, "one global slot is free");
  await submit({ model: "other", class: "training", task: "process" });
  await claim("other");
  pass(2_000);
  t.equal(seconds(waiting), 1, "the first of both to end frees one");
  await end(two.uuid);
  t.equal(seconds(waiting, 2), null, "of its own lane nothing is known");
  for (let run = 0; run < 2; run++) {
    const { uuid } = await claim();
    pass(1_000);
    await end(uuid);
    if (run === 0) await submit();
  }
  t.equal(seconds(await submit()), 58, "both starts of this minute are used up");
  const retried = await submit();
  pass(60_000);
  await claim();
  const later = store.get(retried)!;
  t.equal(
    forecast.estimateSeconds({ ...later, notBeforeMs: START_MS + 10_000_000 }, 0)! > 9_000,
    true,
    "a retry's time",
  );
});

t.test("a model's rate counts: what it has left, and what comes with each window", async (t) => {
  const { store, permits, create, submit, pass } = await startForecast(t, { rate: { amount: 2, perMs: 10_000 } });
  const forecast = create();
  const waiting = store.get(await submit())!;
  const seconds = (position: number) => forecast.estimateSeconds({ ...waiting, attempt: 0 }, position);
  t.same([seconds(0), forecast.estimateSeconds({ ...waiting, task: "train_supervised" }, 0)], [0, 0]);
  for (let call = 0; call < 2; call++) {
    const wanted = { model: "gazetteer", class: "interactive", priority: 2, training: false, concurrency: 2 };
    (await permits.request(wanted)).release();
  }
  pass(4_000);
  t.equal(seconds(0), 6, "both calls of this window are used");
  t.equal(forecast.estimateSeconds({ ...waiting, task: "train_supervised" }, 0), 0, "trainings have no rate");
  pass(7_000);
  t.equal(seconds(0), 0);
});

t.test("while the limiter cannot be asked nothing starts, so no time is told", async (t) => {
  const { store, create, submit, setAway } = await startForecast(t);
  const forecast = create();
  const waiting = store.get(await submit())!;
  t.equal(forecast.estimateSeconds(waiting, 0), 0);
  setAway(true);
  t.equal(forecast.estimateSeconds(waiting, 0), null);
});
