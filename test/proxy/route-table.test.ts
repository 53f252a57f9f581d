import t, { type Test } from "tap";
import { bodyOf, call, poll, RawClient, startHttp, startProxy } from "./rig.js";
import { entry, startBoth } from "./sidecar-wire.js";

const words = (t: Test, word: string) => startHttp(t, (req, res) => res.end(`${word} ${req.url}`));

t.test("the route table is followed, survives the sidecar's end, and is followed again", async (t) => {
  const [one, two] = await Promise.all([words(t, "one"), words(t, "two")]);
  const { wire, url } = await startBoth(t);
  const body = async (path: string) => (await call(`${url}${path}`)).body;
  t.match(await body("/models/a/x"), "MODEL_UNKNOWN");
  wire.publish([entry("a", one.port, { address: "10.1.1.1" })]);
  while (!(await body("/models/a/x")).startsWith("one"));
  t.equal(await body("/models/10.1.1.1/x"), "one /x", "by address");
  wire.publish([entry("a", two.port)]);
  while (!(await body("/models/a/x")).startsWith("two"));
  t.match(await body("/models/10.1.1.1/x"), "MODEL_UNKNOWN", "the old address is gone");

  wire.stop();
  t.equal(await body("/models/a/x"), "two /x", "light requests flow without the sidecar");
  t.match(await call(`${url}/models`), { status: 503, headers: { "retry-after": "2" }, body: /SIDECAR_UNAVAILABLE/ });
  t.match(JSON.parse(await body("/health")), {
    detail: { status: "unhealthy", components: { sidecar: "unavailable" } },
  });
  const ready = await call(`${url}/readyz`);
  t.match(
    [ready.status, JSON.parse(ready.body)],
    [200, { status: "degraded", components: { sidecar: "unavailable" } }],
  );
  t.match(await call(`${url}/livez`), { status: 200, body: "ok" });

  wire.publish([entry("a", one.port)]);
  await wire.start();
  while (!(await body("/models/a/x")).startsWith("one"));
  await poll(() => wire.streams.size === 1, "one stream");
  t.match(JSON.parse(await body("/readyz")), { status: "ready", models: { ready: 1 } });
});

t.test("a silent route stream is given up and opened anew", async (t) => {
  const { wire } = await startBoth(t, 1_000);
  const first = [...wire.streams][0]!;
  await poll(() => wire.streams.size === 1 && !wire.streams.has(first), "another stream", 8_000);
  t.pass();
});

t.test("public paths go to the sidecar as they are, with the peer's address and no client-sent one", async (t) => {
  const { wire, port, url } = await startBoth(t);
  wire.answer = (_req, res) => {
    res.writeHead(201, { location: "/tasks/1", "x-a": "1" });
    res.end("made");
  };
  const client = new RawClient(t, port).send(
    "POST /tasks/1/?a=%2F HTTP/1.1\r\nHost: gate:1\r\nX-Forwarded-For: 6.6.6.6\r\nX-Sluice-Tenant: t\r\nContent-Length: 2\r\n\r\nhi",
  );
  t.match(await client.until("made"), /^HTTP\/1\.1 201 Created\r\nlocation: \/tasks\/1\r\nx-a: 1\r\n/);
  t.match(wire.seen[0], {
    method: "POST",
    url: "/tasks/1/?a=%2F",
    headers: { host: "gate:1", "x-forwarded-for": "127.0.0.1", "x-forwarded-host": "gate:1", "x-sluice-tenant": "t" },
    body: "hi",
  });
  for (const path of ["/internal/routes", "/internal/metrics", "/internal"]) {
    t.equal((await call(`${url}${path}`)).status, 404, path);
  }
  t.equal(wire.seen.length, 1, "a client's /internal never arrives");
});

t.test("an absent on-demand model is started by the first request, its body unread meanwhile", async (t) => {
  const upstream = await startHttp(t, async (req, res) => res.end(`heard ${(await bodyOf(req)).toString()}`));
  const { wire, url } = await startBoth(t);
  wire.publish([
    entry("cold", null, { source: "process", onDemand: true }),
    entry("off", null, { state: "failed", problem: "it crashed" }),
  ]);
  let release = () => {};
  wire.answer = (_req, res) => {
    release = () => res.end(JSON.stringify(entry("cold", upstream.port)));
  };
  while ((await call(`${url}/models/off/x`)).status === 404);
  const waiting = call(`${url}/models/cold/process`, { method: "POST", body: "note" });
  await poll(() => wire.seen.length === 1, "the ensure call");
  t.match(wire.seen[0], { method: "POST", url: "/internal/models/cold/ensure?wait_ms=300000" });
  release();
  t.match(await waiting, { status: 200, body: "heard note" });

  t.match(await call(`${url}/models/off/x`), { status: 503, headers: { "retry-after": "5" }, body: /it crashed/ });
  wire.answer = (_req, res) => {
    res.writeHead(503, { "retry-after": "7" });
    res.end(JSON.stringify({ error: { code: "MODEL_START_FAILED", message: "it ended with code 3" } }));
  };
  t.match(await call(`${url}/models/cold/x`), {
    status: 503,
    headers: { "retry-after": "7" },
    body: /ended with code 3/,
  });

  let aborted = false;
  wire.answer = (_req, res) => res.on("close", () => (aborted = true));
  const leaver = new RawClient(t, Number(new URL(url).port)).send("GET /models/cold/x HTTP/1.1\r\nHost: h\r\n\r\n");
  await poll(() => wire.seen.length === 3, "the ensure call");
  leaver.socket.destroy();
  await poll(() => aborted, "the end of the wait");
});

t.test("a port alias and a host alias lead to their model without prefix, and follow the snapshot", async (t) => {
  const upstream = await startHttp(t, (req, res) => {
    res.writeHead(307, {
      location: `http://${req.headers.host}/docs`,
      "x-prefix": String(req.headers["x-forwarded-prefix"]),
      "x-url": req.url,
    });
    res.end();
  });
  const { wire, url, proxy } = await startBoth(t);
  const model = entry("m", upstream.port);
  wire.publish(
    [model],
    [
      { port: 0, host: null, model: "m" },
      { port: null, host: "Deid.Example.org", model: "m" },
    ],
  );
  await poll(() => proxy.aliasPorts.get("m") !== undefined, "the alias port");
  const port = proxy.aliasPorts.get("m")!;
  for (const [base, headers] of [
    [`http://127.0.0.1:${port}`, {}],
    [url, { host: "deid.example.ORG:99" }],
  ] as const) {
    t.match(await call(`${base}/metrics`, { headers }), {
      status: 307,
      headers: { location: "/docs", "x-prefix": "undefined", "x-url": "/metrics" },
    });
    await call(`${base}/tasks/7?wait=1`, { headers });
    t.equal(wire.seen.at(-1)?.url, "/tasks/7?wait=1", "our own Location works under an alias");
  }
  const kept = new RawClient(t, port).send("GET /x HTTP/1.1\r\nHost: h\r\n\r\n");
  await kept.until("307");
  wire.publish([model]);
  await poll(() => proxy.aliasPorts.size === 0, "the alias port's end");
  await t.rejects(call(`http://127.0.0.1:${port}/x`), { code: "ECONNREFUSED" });
});

t.test("before the sidecar has spoken the configured static models and aliases are served", async (t) => {
  const upstream = await words(t, "static");
  const { url } = await startProxy(t, {
    config: {
      proxy: { aliases: [{ host: "alias", model: "m" }] },
      discovery: { static: [{ name: "m", url: `http://127.0.0.1:${upstream.port}/base/` }] },
    },
  });
  t.equal((await call(`${url}/models/m/x?y`)).body, "static /base/x?y");
  t.equal((await call(`${url}/x`, { headers: { host: "alias" } })).body, "static /base/x");
});
