/** The yardstick itself: what the load generator counts, and that a stall is not left out. */
import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import t from "tap";
import { Histogram } from "../../../bench/load/histogram.js";
import { runClosedLoop, runOpenLoop } from "../../../bench/load/loops.js";
import type { LoadPlan } from "../../../bench/load/plan.js";

async function listen(t: { teardown(fn: () => void): unknown }, answer: RequestListener): Promise<number> {
  const server = createServer(answer).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.teardown(() => {
    server.close();
    server.closeAllConnections();
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

function planFor(port: number, changes: Partial<LoadPlan>): LoadPlan {
  return {
    host: "127.0.0.1",
    port,
    request: { method: "POST", path: "/process", headers: {}, bodies: [Buffer.from("one"), Buffer.from("three")] },
    connections: 4,
    rate: null,
    warmupMs: 0,
    durationMs: 400,
    expect: { statuses: [200], bytes: 2 },
    ...changes,
  };
}

t.test("a histogram gives back what was recorded, within a thousandth, and adds up", async (t) => {
  const histogram = new Histogram();
  for (let ms = 1; ms <= 10_000; ms++) histogram.record(ms);
  const twice = Histogram.from(histogram.counts());
  twice.add(histogram.counts());
  for (const each of [histogram, twice]) {
    t.ok(Math.abs(each.quantile(0.5) / 5_000 - 1) < 0.001, `${each.quantile(0.5)}`);
    t.ok(Math.abs(each.quantile(0.99) / 9_900 - 1) < 0.001, `${each.quantile(0.99)}`);
  }
  t.equal(twice.total, 20_000);
  t.ok(Number.isNaN(new Histogram().quantile(0.5)));
});

t.test("closed loop: every answer is counted and the bodies take turns", async (t) => {
  const bodies = new Map<string, number>();
  const port = await listen(t, (req, res) => {
    req.setEncoding("utf8").on("data", (text: string) => bodies.set(text, (bodies.get(text) ?? 0) + 1));
    req.on("end", () => res.end("ok"));
  });
  const result = await runClosedLoop(planFor(port, {}));
  t.strictSame(result.errors, {});
  t.ok(result.answers > 100);
  t.equal(Histogram.from(result.latencies).total, result.answers);
  t.ok(Math.abs((bodies.get("one") ?? 0) - (bodies.get("three") ?? 0)) <= 4);
});

t.test("open loop: requests that were due during a stall feel it", async (t) => {
  const STALL_MS = 200;
  let stalled: Promise<unknown> | undefined;
  let seen = 0;
  const port = await listen(t, (req, res) => {
    req.resume();
    seen++;
    if (seen === 100) stalled = new Promise((done) => setTimeout(done, STALL_MS));
    if (stalled === undefined) res.end("ok");
    else void stalled.then(() => res.end("ok"));
  });
  const rate = 500;
  const result = await runOpenLoop(planFor(port, { rate }), rate);
  t.strictSame(result.errors, {});
  t.equal(result.answers, 200, "whatever was due was sent");
  // 100 of the 200 were due during the stall; at the middle of it the wait is half of it.
  const p75 = Histogram.from(result.latencies).quantile(0.75);
  t.ok(p75 > STALL_MS / 4, `p75 is ${p75} ms`);
});

t.test("what is wrong is an error by its kind and never an answer", async (t) => {
  const port = await listen(t, (req, res) => {
    req.resume();
    const turn = Math.floor(Math.random() * 3);
    if (turn === 0) res.writeHead(503, { "content-length": 2 }).end("no");
    else if (turn === 1) res.end("longer");
    else req.socket.destroy();
  });
  const result = await runClosedLoop(planFor(port, {}));
  t.equal(result.answers, 0);
  t.ok((result.errors["status-503"] ?? 0) > 0);
  t.ok((result.errors["length-6"] ?? 0) > 0);
  t.ok((result.errors.closed ?? result.errors.ECONNRESET ?? 0) > 0);
});

t.test("a server that is not there is an error, not a hang", async (t) => {
  const result = await runClosedLoop(planFor(1, { durationMs: 100 }));
  t.equal(result.answers, 0);
  t.ok((result.errors.ECONNREFUSED ?? 0) > 0);
});
