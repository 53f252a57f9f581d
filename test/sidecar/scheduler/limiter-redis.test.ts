import t, { type Test } from "tap";
import { systemClock } from "../../../core/runtime/clock.js";
import { createPermits } from "../../../sidecar/scheduler/limiter.js";
import { createRedisLimiters } from "../../../sidecar/scheduler/limiter-redis.js";
import { redisSkipReason, startRedis, type TestRedis } from "../../helpers/redis.js";
import { requireOrSkip } from "../../helpers/services.js";
import { call, join, type Load, load, logger, timed } from "./limiter-load.js";

const BUDGET = 4;
/** Bound on coming back after any fault of Redis. */
const RESUME_MS = 5_000;

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Waits for starts, not for time. */
async function starts(running: Load, count: number): Promise<void> {
  for (let each = 0; each < count; each++) await running.nextStart();
}

function suite(name: string, body: (t: Test) => Promise<void>): void {
  t.test(name, async (t) => {
    if (requireOrSkip(t, "Redis", redisSkipReason())) await body(t);
  });
}

suite("two sidecars obey one budget, and both get of it", async (t) => {
  const redis = await startRedis(t);
  const members = [join(t, redis.url), join(t, redis.url)] as const;
  const [one, two] = members.map(({ permits }) => load([permits], { width: 6, runMs: 10 }));
  let peak = 0;
  const watch = setInterval(() => {
    peak = Math.max(peak, one!.running + two!.running);
  }, 1);
  await Promise.all([starts(one!, 60), starts(two!, 60)]);
  clearInterval(watch);
  t.equal(peak, BUDGET, "the whole budget is used, and no more");
  await Promise.all([one!.end(), two!.end()]);
});

/** One fault, and for how long it keeps Redis away. */
interface Fault {
  readonly name: string;
  go(redis: TestRedis): Promise<unknown>;
}

const FAULTS: readonly Fault[] = [
  { name: "FLUSHALL", go: (redis) => redis.ask("FLUSHALL") },
  { name: "SCRIPT FLUSH", go: (redis) => redis.ask("SCRIPT FLUSH") },
  {
    name: "a restart",
    go: async (redis) => {
      await redis.kill();
      await redis.start();
    },
  },
  {
    name: "three seconds without it",
    go: async (redis) => {
      await redis.kill();
      await sleep(3_000);
      await redis.start();
    },
  },
  {
    name: "a pause that breaks the connections",
    go: async (redis) => {
      redis.pause();
      await sleep(5_000);
      redis.resume();
    },
  },
];

suite("no fault of Redis loses a request, breaks the budget or stops the starts for long", async (t) => {
  const redis = await startRedis(t);
  const members = [join(t, redis.url).permits, join(t, redis.url).permits];
  const running = load(members, { width: 6, runMs: 15 });
  await starts(running, 20);
  for (const { name, go } of FAULTS) {
    running.resetPeak();
    await go(redis);
    const resumedMs = await timed(starts(running, 8));
    t.ok(resumedMs < RESUME_MS, `${name}: starts go on (${resumedMs} ms)`);
    t.ok(running.peak <= 2 * BUDGET, `${name}: never above the budget and what was running (${running.peak})`);
    running.resetPeak();
    await starts(running, 20);
    t.ok(running.peak <= BUDGET, `${name}: exact again (${running.peak})`);
  }
  t.equal(running.refused, 0, "whoever asked got its permit");
  await running.end();
});

suite("what Redis forgot is put back: permits that are held for long still count after FLUSHALL and after a restart", async (t) => {
  const redis = await startRedis(t);
  const [holder, other] = [join(t, redis.url).permits, join(t, redis.url).permits];
  const held = await Promise.all([1, 2, 3].map(() => holder.request(call({ model: "held" }))));
  for (const fault of FAULTS.filter(({ name }) => name === "FLUSHALL" || name === "a restart")) {
    await fault.go(redis);
    await sleep(2_500);
    const running = load([other], { width: 6, runMs: 10 });
    await starts(running, 10);
    t.equal(running.peak, 1, `after ${fault.name} one of four is left`);
    await running.end();
  }
  for (const each of held) each.release();
  const running = load([other], { width: 8, runMs: 30 });
  await starts(running, 30);
  t.equal(running.peak, BUDGET, "what was put back is given up with its permit");
  await running.end();
});

suite("one limiter per id: everything that is asked for by one sidecar goes through the same one", async (t) => {
  const redis = await startRedis(t);
  const { permits, limiters } = join(t, redis.url);
  t.equal(limiters.of("global", { maxConcurrent: BUDGET }), limiters.of("global", { maxConcurrent: BUDGET }));
  await permits.reconfigure({ maxConcurrentTasks: 2, budgets: new Map() });
  (await permits.request(call({ eager: true }))).release();
  const channels = (await redis.ask("PUBSUB CHANNELS *global*")).split("\r\n").filter((each) => each.startsWith("b_"));
  t.equal(channels.length, 2, "its channel and its own one, no second client's");
  const running = load([permits], { width: 6, runMs: 10 });
  await starts(running, 20);
  t.equal(running.peak, 2, "the changed number of slots holds");
  await running.end();
});

suite("a sidecar starts while Redis is away, and goes on when it comes", async (t) => {
  const redis = await startRedis(t, { running: false });
  const { permits, limiters } = join(t, redis.url);
  let granted = false;
  const waiting = permits.request(call()).then((permit) => {
    granted = true;
    return permit;
  });
  await t.rejects(limiters.probe(), "it says that Redis is away");
  await sleep(300);
  t.notOk(granted, "a request waits");
  await redis.start();
  const ms = await timed(waiting);
  t.ok(ms < RESUME_MS, `granted after ${ms} ms`);
  await limiters.probe();
  (await waiting).release();
});

suite("a sidecar that stops while Redis is away refuses who waits, and does not wait itself", async (t) => {
  const redis = await startRedis(t, { running: false });
  const { permits } = join(t, redis.url);
  const waiting = permits.request(call());
  const refused = t.rejects(waiting, { code: "SHUTTING_DOWN" });
  t.ok((await timed(permits.stop())) < 1_000);
  await refused;
  await t.rejects(permits.request(call()), { code: "SHUTTING_DOWN" });
});

suite("a sidecar that stops gives its permits back at once", async (t) => {
  const redis = await startRedis(t);
  const [leaver, other] = [join(t, redis.url).permits, join(t, redis.url).permits];
  for (let each = 0; each < BUDGET; each++) await leaver.request(call());
  const waiting = other.request(call());
  await leaver.stop();
  t.ok((await timed(waiting)) < 1_500, "long before their leases end");
  (await waiting).release();
});

suite("a later urgent request of one sidecar goes before the many waiting ones of another", async (t) => {
  const redis = await startRedis(t);
  const one = join(t, redis.url, { maxConcurrentTasks: 1 }).permits;
  const two = join(t, redis.url, { maxConcurrentTasks: 1 }).permits;
  const order: string[] = [];
  const take = async (permits: typeof one, priority: number, name: string) => {
    const permit = await permits.request(call({ priority, concurrency: 1 }));
    order.push(name);
    await sleep(5);
    permit.release();
  };
  // The other sidecar had the last turn, so that fairness alone would prefer the first.
  await take(two, 5, "first");
  const running = await one.request(call({ concurrency: 1 }));
  const batch = Array.from({ length: 40 }, () => take(one, 5, "batch"));
  await sleep(200);
  for (let round = 0; round < 5; round++) {
    const urgent = [take(two, 0, "urgent"), take(two, 1, "urgent")];
    await sleep(60);
    if (round === 0) running.release();
    await Promise.all(urgent);
    const behind = order.lastIndexOf("urgent") - order.indexOf("urgent");
    t.ok(behind <= 1 + 1, `round ${round}: at most the one that ran stood before them (${order.join(" ")})`);
    order.length = 0;
  }
  await Promise.all(batch);
});

suite("a budget that several sidecars share is refilled in both ways, and goes on after FLUSHALL", async (t) => {
  const redis = await startRedis(t);
  const budgets = new Map([
    ["batch", { amount: 2, refreshMs: 500 }],
    ["slow", { amount: 1, increase: { amount: 1, everyMs: 500, maximum: 2 } }],
  ]);
  const members = [join(t, redis.url, { budgets }).permits, join(t, redis.url, { budgets }).permits];
  for (const name of budgets.keys()) {
    const running = load(members, { width: 3, runMs: 1, request: { class: name } });
    const ms = await timed(starts(running, 6));
    t.ok(ms > 900, `${name}: six starts take more than one refill (${ms} ms)`);
    await redis.ask("FLUSHALL");
    const againMs = await timed(starts(running, 6));
    t.ok(againMs < RESUME_MS + 2_000, `${name}: refills go on (${againMs} ms)`);
    await running.end();
  }
});

suite("a model's rate is kept together", async (t) => {
  const redis = await startRedis(t);
  const rateOf = () => ({ amount: 5, perMs: 1_000 });
  const members = [join(t, redis.url, { rateOf }).permits, join(t, redis.url, { rateOf }).permits];
  const running = load(members, { width: 4, runMs: 1 });
  await starts(running, 1);
  await sleep(900);
  t.equal(running.started, 5, "five in the first window, whoever sends them");
  await running.end();
});

suite("installations with another prefix do not meet", async (t) => {
  const redis = await startRedis(t);
  const other = createRedisLimiters({ url: redis.url, prefix: "other", clock: systemClock, logger });
  const theirs = createPermits({ maxConcurrentTasks: 1, budgets: new Map() }, { limiters: other });
  t.teardown(() => theirs.stop());
  const ours = join(t, redis.url, { maxConcurrentTasks: 1 }).permits;
  const permit = await theirs.request(call());
  (await ours.request(call())).release();
  permit.release();
});
