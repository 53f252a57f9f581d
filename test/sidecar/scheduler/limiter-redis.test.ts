import t, { type Test } from "tap";
import { systemClock } from "../../../core/runtime/clock.js";
import { createPermits } from "../../../sidecar/scheduler/limiter.js";
import { createRedisLimiters } from "../../../sidecar/scheduler/limiter-redis.js";
import { redisSkipReason, startRedis } from "../../helpers/redis.js";
import { requireOrSkip } from "../../helpers/services.js";
import { call, join, load, logger, starts, timed } from "./limiter-load.js";

const BUDGET = 4;
/** Bound on coming back after any fault of Redis. */
const RESUME_MS = 5_000;

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

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

suite("a permit that only Redis knows of, because its answer was lost, is given up soon", async (t) => {
  const redis = await startRedis(t);
  const { permits } = join(t, redis.url, { maxConcurrentTasks: 1 });
  (await permits.request(call())).release();
  const [, , owner] = (await redis.ask("ZRANGE b_test:global_client_last_seen 0 -1")).split("\r\n");
  for (const command of [
    "HSET b_test:global_job_weights lost 1",
    `HSET b_test:global_job_clients lost ${owner}`,
    "HINCRBY b_test:global_settings running 1",
    `ZINCRBY b_test:global_client_running 1 ${owner}`,
  ]) {
    await redis.ask(command);
  }
  const ms = await timed(permits.request(call()));
  t.ok(ms > 100, "it was in the way");
  t.ok(ms < RESUME_MS, `gone after ${ms} ms`);
});

suite("an idle sidecar asks Redis little, also after FLUSHALL", async (t) => {
  const redis = await startRedis(t);
  const { permits } = join(t, redis.url);
  await permits.request(call());
  const commands = async () => Number(/total_commands_processed:(\d+)/.exec(await redis.ask("INFO stats"))![1]);
  await redis.ask("FLUSHALL");
  await sleep(2_000);
  const before = await commands();
  await sleep(2_000);
  const spent = (await commands()) - before;
  t.ok(spent < 300, `${spent} commands in two seconds, those of the scripts included`);
});

suite("limits are those of the sidecar that started or reloaded last", async (t) => {
  const redis = await startRedis(t);
  const one = join(t, redis.url, { maxConcurrentTasks: 1 }).permits;
  (await one.request(call())).release();
  const two = join(t, redis.url, { maxConcurrentTasks: 3 }).permits;
  (await two.request(call())).release();
  const running = load([one, two], { width: 4, runMs: 10 });
  await starts(running, 20);
  t.equal(running.peak, 3);
  for (const maxConcurrentTasks of [4, 1, 2]) await one.reconfigure({ maxConcurrentTasks, budgets: new Map() });
  await starts(running, 20);
  running.resetPeak();
  await starts(running, 20);
  t.equal(running.peak, 2);
  await running.end();
});
