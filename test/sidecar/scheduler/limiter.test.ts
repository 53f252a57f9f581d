import { setImmediate as tick } from "node:timers/promises";
import t from "tap";
import { createPermits, type Permit, type PermitRequest } from "../../../sidecar/scheduler/limiter.js";

const call = (changes: Partial<PermitRequest> = {}): PermitRequest => ({
  model: "a",
  class: "batch",
  priority: 5,
  training: false,
  concurrency: 1,
  ...changes,
});

/** Lets everything that can be granted be granted. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 60; turn++) await tick();
  await new Promise((resolve) => setTimeout(resolve, 30));
}

/** Refills and rates wait by timers that keep no process alive. */
const alive = setInterval(() => undefined, 60_000);
t.teardown(() => clearInterval(alive));

t.test("a model gets its own number of calls at a time, all models together the global number", async (t) => {
  const permits = createPermits({ maxConcurrentTasks: 3, budgets: new Map() });
  t.teardown(() => permits.stop());
  const granted: string[] = [];
  const held: Permit[] = [];
  for (const model of ["a", "a", "b", "b", "c", "d"]) {
    permits.request(call({ model })).then((permit) => {
      granted.push(model);
      held.push(permit);
    });
  }
  await settle();
  t.same(granted, ["a", "b", "c"]);
  held[2]!.release();
  held[2]!.release();
  await settle();
  t.same(granted, ["a", "b", "c", "d"], "one freed slot lets one in, also when it is freed twice");
  for (let each = 0; each < held.length; each++) held[each]!.release();
  await settle();
  t.equal(granted.length, 6);
});

t.test("the more urgent waits less", async (t) => {
  const permits = createPermits({ maxConcurrentTasks: 4, budgets: new Map() });
  t.teardown(() => permits.stop());
  const first = await permits.request(call());
  const order: number[] = [];
  for (const priority of [7, 5, 0, 9]) {
    permits.request(call({ priority })).then((permit) => {
      order.push(priority);
      permit.release();
    });
  }
  await settle();
  t.same(order, []);
  first.release();
  while (order.length < 4) await tick();
  t.same(order, [0, 5, 7, 9]);
});

t.test("a class's budget is spent by starts, and an unused permit gives it back", async (t) => {
  const permits = createPermits({
    maxConcurrentTasks: 10,
    budgets: new Map([["batch", { amount: 2, refreshMs: 3_600_000 }]]),
  });
  t.teardown(() => permits.stop());
  let granted = 0;
  const count = (permit: Permit) => {
    granted++;
    return permit;
  };
  const one = await permits.request(call({ model: "a" })).then(count);
  (await permits.request(call({ model: "b" })).then(count)).releaseUnused();
  await permits.request(call({ model: "c" })).then(count);
  permits.request(call({ model: "d" })).then(count, () => {});
  await settle();
  t.equal(granted, 3, "two starts were used, one was given back");
  one.release();
  await settle();
  t.equal(granted, 3, "an ended call does not refill the budget");
  t.equal(
    (await permits.request(call({ model: "d", class: "interactive" }))) !== null,
    true,
    "another class has its own",
  );
});

t.test(
  "a training keeps its model's one training slot and gives the call's slots back once it is accepted",
  async (t) => {
    const permits = createPermits({ maxConcurrentTasks: 1, budgets: new Map() });
    t.teardown(() => permits.stop());
    const training = await permits.request(call({ training: true, class: "training" }));
    training.releaseCall();
    const inference = await permits.request(call());
    let second: Permit | undefined;
    permits.request(call({ training: true, class: "training" })).then((permit) => {
      second = permit;
    });
    inference.release();
    await settle();
    t.equal(second, undefined, "one training at a time");
    training.release();
    await settle();
    t.ok(second);
    second?.release();
  },
);

t.test("a caller that gave up gives its permit back at once, and stop refuses who still waits", async (t) => {
  const permits = createPermits({ maxConcurrentTasks: 1, budgets: new Map() });
  const first = await permits.request(call());
  const gone = new AbortController();
  const abandoned = permits.request(call(), gone.signal);
  const waiting = permits.request(call({ model: "b" }));
  gone.abort(new Error("hung up"));
  first.release();
  await t.rejects(abandoned, { message: "hung up" });
  (await waiting).release();
  const last = await permits.request(call());
  const late = permits.request(call({ model: "c" }));
  await settle();
  await permits.stop();
  await t.rejects(late, { code: "SHUTTING_DOWN" });
  await t.rejects(permits.request(call()), { code: "SHUTTING_DOWN" });
  last.release();
});

t.test("a changed number of global slots takes effect for what waits", async (t) => {
  const permits = createPermits({ maxConcurrentTasks: 1, budgets: new Map() });
  t.teardown(() => permits.stop());
  await permits.request(call({ model: "a" }));
  let second = false;
  permits.request(call({ model: "b" })).then(() => {
    second = true;
  });
  await settle();
  t.notOk(second);
  await permits.reconfigure({ maxConcurrentTasks: 2, budgets: new Map() });
  await settle();
  t.ok(second);
});

t.test("an eager request that waits for its model keeps no global slot meanwhile", async (t) => {
  const permits = createPermits({ maxConcurrentTasks: 2, budgets: new Map() });
  t.teardown(() => permits.stop());
  const busy = await permits.request(call({ model: "a" }));
  let late: Permit | undefined;
  permits.request(call({ model: "a", eager: true })).then((permit) => {
    late = permit;
  });
  await settle();
  const other = await permits.request(call({ model: "b" }));
  t.equal(late, undefined);
  busy.release();
  await settle();
  t.ok(late);
  let third = false;
  permits.request(call({ model: "c" })).then(() => {
    third = true;
  });
  await settle();
  t.notOk(third, "both global slots are taken, no more and no fewer");
  other.release();
  await settle();
  t.ok(third);
});

t.test("an eager request that is refused by a stop leaves no rejection unheard", async (t) => {
  const permits = createPermits({ maxConcurrentTasks: 1, budgets: new Map() });
  const busy = await permits.request(call({ model: "a" }));
  const refused = permits.request(call({ model: "a", eager: true }));
  await settle();
  await permits.stop();
  await t.rejects(refused, { code: "SHUTTING_DOWN" });
  busy.release();
});

t.test("a class's budget grows bit by bit, up to its maximum", async (t) => {
  const increase = { amount: 1, everyMs: 250, maximum: 2 };
  const permits = createPermits({ maxConcurrentTasks: 20, budgets: new Map([["batch", { amount: 1, increase }]]) });
  t.teardown(() => permits.stop());
  const fromMs = performance.now();
  for (let each = 0; each < 3; each++) await permits.request(call({ model: `m${each}` }));
  const spentMs = performance.now() - fromMs;
  t.ok(spentMs > 400, `one at first, two more after two steps (${Math.round(spentMs)} ms)`);
  await new Promise((resolve) => setTimeout(resolve, 1_100));
  const savedMs = performance.now();
  for (const model of ["a", "b", "c", "d"]) await permits.request(call({ model }));
  t.ok(performance.now() - savedMs >= 240, "no more than the maximum is saved up: the fourth waits for two more steps");
});

t.test("a budget is refilled after any number of reloads, which refill nothing themselves", async (t) => {
  const settings = (amount: number) => ({
    maxConcurrentTasks: 20,
    budgets: new Map([["batch", { amount, refreshMs: 500 }]]),
  });
  const permits = createPermits(settings(1));
  t.teardown(() => permits.stop());
  await permits.request(call({ model: "a" }));
  let isSecond = false;
  const second = permits.request(call({ model: "b" })).then(() => {
    isSecond = true;
  });
  await permits.reconfigure(settings(2));
  await permits.reconfigure(settings(3));
  await settle();
  t.notOk(isSecond, "what was spent stays spent");
  await second;
  await permits.request(call({ model: "c" }));
  await permits.request(call({ model: "d" }));
  t.pass("the next refill was of three");
});

t.test("a machine's clock that is set back stops neither starts nor refills", async (t) => {
  const budgets = new Map([["batch", { amount: 1, refreshMs: 250 }]]);
  const permits = createPermits({ maxConcurrentTasks: 20, budgets });
  const now = Date.now;
  t.teardown(() => {
    Date.now = now;
    return permits.stop();
  });
  await permits.request(call({ model: "a" }));
  Date.now = () => now() - 3_600_000;
  await permits.request(call({ model: "b" }));
  await permits.request(call({ model: "c" }));
  t.pass();
});

t.test(
  "a model is called no more often than its rate, counted over a moving window; another's and trainings are not",
  async (t) => {
    const rateOf = (model: string) => (model === "slow" ? { amount: 3, perMs: 300 } : null);
    const permits = createPermits({ maxConcurrentTasks: 20, budgets: new Map(), rateOf });
    t.teardown(() => permits.stop());
    const startsMs: number[] = [];
    for (let each = 0; each < 8; each++) {
      const permit = await permits.request(call({ model: "slow" }));
      startsMs.push(performance.now());
      permit.release();
      (await permits.request(call({ model: "other" }))).release();
      (await permits.request(call({ model: "slow", training: true }))).release();
    }
    for (let each = 3; each < 8; each++) {
      t.ok(startsMs[each]! - startsMs[each - 3]! >= 300, `start ${each} lies a window behind the third before it`);
    }
  },
);

t.test(
  "a refusal teaches a rate, an unused permit does not count, and the pause a server asks for is kept",
  async (t) => {
    const permits = createPermits({ maxConcurrentTasks: 20, budgets: new Map() });
    t.teardown(() => permits.stop());
    for (let each = 0; each < 5; each++) (await permits.request(call())).releaseUnused();
    const last = await permits.request(call());
    last.refused(200);
    last.release();
    const fromMs = performance.now();
    const next = await permits.request(call());
    t.ok(performance.now() - fromMs >= 190, "not before the pause is over");
    next.release();
    const gone = new AbortController();
    const waiting = permits.request(call(), gone.signal);
    await settle();
    gone.abort(new Error("hung up"));
    await t.rejects(waiting, { message: "hung up" }, "one call in a minute is all that was taken");
    const stuck = permits.request(call());
    const refused = t.rejects(stuck, { code: "SHUTTING_DOWN" });
    await settle();
    await permits.stop();
    await refused;
  },
);
