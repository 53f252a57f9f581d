import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import t, { type Test } from "tap";
import { redisSkipReason, startRedis } from "../../helpers/redis.js";
import { requireOrSkip } from "../../helpers/services.js";
import { call, join, load, timed } from "./limiter-load.js";

const HOLDER = fileURLToPath(new URL("./limiter-holder.js", import.meta.url));
const WHOLE_MS = 30_000;

/** Another sidecar's process, holding so many permits. */
async function startHolder(t: Test, url: string, count: number): Promise<ChildProcess> {
  const child = spawn(process.execPath, [HOLDER, url, String(count)], { stdio: ["ignore", "pipe", "inherit"] });
  t.teardown(() => void child.kill("SIGKILL"));
  await once(child.stdout!, "data");
  return child;
}

// Both wait for a lease to end.
t.jobs = 2;

t.test(
  "after kill -9 of a sidecar the budget is whole again, and a living one's long calls keep theirs",
  { buffered: true },
  async (t) => {
    if (!requireOrSkip(t, "Redis", redisSkipReason())) return;
    const redis = await startRedis(t);
    const [long, other] = [join(t, redis.url).permits, join(t, redis.url).permits];
    await long.request(call({ model: "long" }));
    const holder = await startHolder(t, redis.url, 3);
    const waiting = [1, 2, 3].map(() => other.request(call()));
    holder.kill("SIGKILL");
    const ms = await timed(Promise.all(waiting));
    t.ok(ms < WHOLE_MS, `whole after ${ms} ms`);
    t.ok(ms > 5_000, "not before its holder has been silent for some time");
    let isFourth = false;
    other.request(call()).then(
      () => {
        isFourth = true;
      },
      () => undefined,
    );
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    t.notOk(isFourth, "the long call, older than a lease, still counts");
  },
);

t.test("a sidecar that stood still past its lease counts again when it goes on", { buffered: true }, async (t) => {
  if (!requireOrSkip(t, "Redis", redisSkipReason())) return;
  const redis = await startRedis(t);
  const holder = await startHolder(t, redis.url, 3);
  const other = join(t, redis.url).permits;
  holder.kill("SIGSTOP");
  const taken = await Promise.all([1, 2, 3, 4].map(() => other.request(call())));
  holder.kill("SIGCONT");
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  for (const each of taken) each.release();
  const running = load([other], { width: 4, runMs: 10 });
  while (running.started < 10) await running.nextStart();
  t.equal(running.peak, 1, "three of four are its own again");
  await running.end();
});
