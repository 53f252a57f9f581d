/** Two whole Sluices that share a Redis, and one slot. */
import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import t from "tap";
import { redisSkipReason, startRedis } from "../helpers/redis.js";
import { requireOrSkip } from "../helpers/services.js";
import { startSluice } from "../helpers/sluice.js";

const WAITING = 1_000;
const RESUME_MS = 5_000;

/** A model server that tells what it runs, and holds its first call until told otherwise. */
async function startModel() {
  const seen: string[] = [];
  const state = { running: 0, peak: 0, release: () => {} };
  const first = new Promise<void>((resolve) => {
    state.release = resolve;
  });
  const heard = new Map<string, () => void>();
  const server = http.createServer(async (req, res) => {
    if (req.method !== "POST") return res.end("medcat_snomed");
    let body = "";
    for await (const chunk of req) body += chunk;
    if (req.url === "/process") return res.end("[]");
    state.peak = Math.max(state.peak, ++state.running);
    if (seen.push(body) === 1) await first;
    state.running--;
    res.end("[]");
    return heard.get(body)?.();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.teardown(() => {
    state.release();
    server.close();
    server.closeAllConnections();
  });
  const done = (body: string) => new Promise<void>((resolve) => heard.set(body, resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen, state, done };
}

async function submit(url: string, body: string, priority?: number): Promise<void> {
  const headers: Record<string, string> = { "content-type": "application/json", prefer: "respond-async" };
  if (priority !== undefined) headers["x-sluice-priority"] = String(priority);
  const answer = await fetch(`${url}/models/m/process_bulk`, { method: "POST", headers, body });
  if (answer.status !== 202) throw new Error(`not accepted: ${answer.status} ${await answer.text()}`);
  await answer.arrayBuffer();
}

async function readyz(url: string): Promise<{ status: string; components: Record<string, string> }> {
  return (await (await fetch(`${url}/readyz`)).json()) as never;
}

t.test("two sidecars with one slot run one call at a time, the urgent first, and outlive their Redis", async (t) => {
  if (!requireOrSkip(t, "Redis", redisSkipReason())) return;
  const redis = await startRedis(t);
  const model = await startModel();
  const config = {
    redis: { url: redis.url },
    scheduler: { max_concurrent_tasks: 1 },
    models: { concurrency: 4 },
    discovery: { static: [{ name: "m", url: model.url }], docker: { enabled: false } },
  };
  const [one, two] = await Promise.all([startSluice(t, { config }), startSluice(t, { config })]);
  t.match(await readyz(two.url), { status: "ready", components: { redis: "healthy" } });

  await submit(one.url, '["first"]');
  for (let each = 0; each < WAITING; each += 50) {
    await Promise.all(Array.from({ length: 50 }, (_, index) => submit(one.url, `["${each + index}"]`)));
  }
  await submit(two.url, '["urgent"]', 0);
  const urgent = model.done('["urgent"]');
  await new Promise((resolve) => setTimeout(resolve, 300));
  t.same(model.seen, ['["first"]'], "everybody waits for the one slot");
  model.state.release();
  await urgent;
  t.equal(model.seen.indexOf('["urgent"]'), 1, "a later urgent task of the other sidecar is next");

  const before = model.seen.length;
  await redis.kill();
  const answer = await fetch(`${two.url}/models/m/process`, { method: "POST", body: "light" });
  t.equal(answer.status, 200, "light requests flow without Redis");
  await submit(two.url, '["without Redis"]', 0);
  while ((await readyz(two.url)).components.redis !== "unhealthy")
    await new Promise((resolve) => setTimeout(resolve, 100));
  const livez = performance.now();
  t.equal((await fetch(`${two.url}/livez`)).status, 200);
  t.ok(performance.now() - livez < 1_000, "liveness answers at once");
  const health = await fetch(`${two.url}/health`);
  t.match(await health.json(), { detail: { components: { redis: "unhealthy", database: "healthy" } } });
  const late = model.done('["without Redis"]');
  t.ok(model.seen.length <= before + 2, "nothing new starts without Redis but what had its permit");

  await redis.start();
  const backMs = performance.now();
  await late;
  const resumedMs = Math.round(performance.now() - backMs);
  t.ok(resumedMs < RESUME_MS, `starts go on by themselves (${resumedMs} ms)`);
  while ((await readyz(two.url)).status !== "ready") await new Promise((resolve) => setTimeout(resolve, 100));
  t.equal(model.state.peak, 1, "never more than one call at the model server");
  for (const each of [one, two]) {
    t.notOk(
      each.lines.some((line) => /unhandled|uncaught/i.test(line)),
      "no rejection went unheard",
    );
  }
});
