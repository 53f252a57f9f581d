import t from "tap";
import { call, poll, RawClient, startBefore, startHttp, startProxy } from "./rig.js";
import { entry, startBoth } from "./sidecar-wire.js";

t.test("an unknown model is 404 that says where to look, and CMG's 503 where CMG's clients ask", async (t) => {
  const upstream = await startHttp(t, (_req, res) => res.end());
  const { wire, url } = await startBoth(t);
  wire.publish([entry("m", upstream.port)]);
  while ((await call(`${url}/models/m/x`)).status !== 200);
  const plain = await call(`${url}/models/nobody/process`, { method: "POST", body: "x" });
  t.match(
    [plain.status, JSON.parse(plain.body)],
    [404, { error: { code: "MODEL_UNKNOWN", message: /'nobody'/, hint: /GET \/models/ } }],
  );
  for (const [method, path] of [
    ["GET", "/models/nobody/info"],
    ["POST", "/models/nobody/tasks/process"],
  ] as const) {
    const got = await call(`${url}${path}`, { method });
    t.equal(got.status, 503, path);
    t.match(JSON.parse(got.body).detail, /not available.*Running models: \['m'\].*on-demand models/s);
  }
  const long = await call(`${url}/models/${"x".repeat(5_000)}/y`);
  t.equal(long.status, 404);
  t.ok(long.body.length < 500, "a caller's own name is cut short");
});

t.test("metrics count requests under bounded labels, without the sidecar too", async (t) => {
  const upstream = await startHttp(t, (_req, res) => res.end("ok"));
  const { url } = await startBefore(t, upstream);
  await call(`${url}/models/m/info`);
  await call(`${url}/models/m/process`, { method: "POST", body: "x" });
  for (let index = 0; index < 5; index++) {
    await call(`${url}/models/m/made-up-${index}`);
    await call(`${url}/models/nobody-${index}/x`);
    await call(`${url}/nowhere-${index}`);
  }
  const { body, headers } = await call(`${url}/metrics`);
  t.match(headers["content-type"], "text/plain");
  for (const line of [
    'gateway_requests_total{method="GET",endpoint="/models/m/info"} 1',
    'gateway_requests_total{method="POST",endpoint="/models/m/process"} 1',
    'gateway_requests_total{method="GET",endpoint="/models/m/*"} 5',
    'gateway_requests_total{method="GET",endpoint="/models/unknown/*"} 5',
    'sluice_requests_total{method="GET",endpoint="unmatched",status="404"} 5',
    'gateway_tasks_processed_total{model="m",task="info"} 1',
    "sluice_gateway_seconds_count 7",
    'sluice_upstream_seconds_count{model="m"} 7',
    "sluice_sidecar_up 0",
  ]) {
    t.ok(body.includes(line), `${line}\n${body.slice(0, 1_500)}`);
  }
  t.notMatch(body, /made-up|nobody|nowhere/);
});

t.test("the supervisor's sum is served when it comes in time, ours alone when not", async (t) => {
  const quick = await startProxy(t, { metricsOfAll: async () => "sum_of_all 1\n" });
  t.equal((await call(`${quick.url}/metrics/`)).body, "sum_of_all 1\n");
  const never = await startProxy(t, { metricsOfAll: () => new Promise(() => {}) });
  t.match((await call(`${never.url}/metrics`)).body, "sluice_sidecar_up 0");
});

t.test(
  "stopping lets what is in flight finish, ends event streams, fails readiness and refuses newcomers",
  async (t) => {
    let finish = () => {};
    const upstream = await startHttp(t, (req, res) => {
      if (req.url === "/events") {
        res.writeHead(200, { "content-type": "text/event-stream" });
        res.write(": connected\n\n");
      } else {
        res.write("half");
        finish = () => res.end("whole");
      }
    });
    const { port, proxy } = await startBefore(t, upstream);
    const idle = new RawClient(t, port).send("GET /livez HTTP/1.1\r\nHost: h\r\n\r\n");
    await idle.until("ok");
    const events = new RawClient(t, port).send("GET /models/m/events HTTP/1.1\r\nHost: h\r\n\r\n");
    await events.until("connected");
    const slow = new RawClient(t, port).send("GET /models/m/slow HTTP/1.1\r\nHost: h\r\n\r\n");
    await slow.until("half");
    const pipelined = new RawClient(t, port).send("GET /models/m/slow HTTP/1.1\r\nHost: h\r\n\r\n");
    await pipelined.until("half");
    const stopped = proxy.stop(Date.now() + 10_000);
    t.ok(proxy.isDraining);
    await poll(() => idle.isClosed, "the idle connection's end");
    await events.until(/0\r\n\r\n$/);
    await t.rejects(call(`http://127.0.0.1:${port}/livez`), { code: "ECONNREFUSED" });
    finish();
    await pipelined.until("whole");
    t.notOk(slow.isClosed, "the first still waits for its model server");
    slow.socket.destroy();
    await stopped;
    t.equal(proxy.inFlight, 0);
  },
);

t.test("stopping is bounded: what does not finish in time is cut", async (t) => {
  const upstream = await startHttp(t, (_req, res) => res.write("half"));
  const { port, proxy } = await startBefore(t, upstream);
  const client = new RawClient(t, port).send("GET /models/m/x HTTP/1.1\r\nHost: h\r\n\r\n");
  await client.until("half");
  await proxy.stop(Date.now() + 100);
  t.notMatch(await client.closed(), /0\r\n\r\n$/);
});

t.test("a request id is taken from the client when it is harmless, else made", async (t) => {
  const { url } = await startProxy(t);
  const idOf = async (sent: string) =>
    (await call(`${url}/livez`, { headers: { "x-request-id": sent } })).headers["x-request-id"];
  t.equal(await idOf("abc-1.2:/+="), "abc-1.2:/+=");
  const made = [await idOf("a b"), await idOf("x".repeat(129)), await idOf("<x>")];
  for (const id of made) t.match(id, /^[0-9a-f]{12}-[0-9a-z]+$/);
  t.equal(new Set(made).size, 3);
});
