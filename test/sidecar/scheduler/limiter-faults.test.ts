import t, { type Test } from "tap";
import { redisSkipReason, startRedis, type TestRedis } from "../../helpers/redis.js";
import { requireOrSkip } from "../../helpers/services.js";
import { call, join, load, starts, timed } from "./limiter-load.js";

const BUDGET = 4;
/** Bound on coming back after any fault of Redis. */
const RESUME_MS = 5_000;

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

function suite(name: string, body: (t: Test) => Promise<void>): void {
  t.test(name, async (t) => {
    if (requireOrSkip(t, "Redis", redisSkipReason())) await body(t);
  });
}

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
    name: "a restart that keeps its data",
    go: async (redis) => {
      await redis.ask("SAVE");
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
