import { once } from "node:events";
import net from "node:net";
import t from "tap";
import { bodyOf, call, poll, RawClient, startBefore, startHttp, startProxy, startRaw } from "../rig.js";

const HEAD = "Host: h\r\n\r\n";
const codeIn = (text: string) => JSON.parse(text.slice(text.indexOf("{"))).error.code;

t.test("what node's parser refuses, and the shapes of request smuggling, are answered in our envelope", async (t) => {
  let reached = 0;
  const upstream = await startHttp(t, (_req, res) => {
    reached += 1;
    res.end();
  });
  const { port } = await startBefore(t, upstream);
  for (const [what, text, status] of [
    ["two lengths", "POST /models/m/x HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400],
    [
      "length and coding",
      "POST /models/m/x HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      400,
    ],
    ["an odd coding", "POST /models/m/x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400],
    [
      "a coding not last",
      "POST /models/m/x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, x\r\n\r\n0\r\n\r\n",
      400,
    ],
    ["two hosts", "GET /models/m/x HTTP/1.1\r\nHost: h\r\nHost: i\r\n\r\n", 400],
    ["no host", "GET /models/m/x HTTP/1.1\r\nAccept: a\r\n\r\n", 400],
    ["a space in a name", "GET /models/m/x HTTP/1.1\r\nHost: h\r\nX y: 1\r\n\r\n", 400],
    ["not HTTP", "hello\r\n\r\n", 400],
    ["a bare CR", "GET /models/m/x HTTP/1.1\r\nHost: h\r\nX: a\rb\r\n\r\n", 400],
    ["a bad length", "POST /models/m/x HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n", 400],
    ["path tricks", `GET /models/m/%2e%2e/x HTTP/1.1\r\n${HEAD}`, 400],
    ["17 KiB of headers", `GET /models/m/x HTTP/1.1\r\nX: ${"a".repeat(17 * 1024)}\r\n${HEAD}`, 431],
    ["300 KiB of headers", `GET /models/m/x HTTP/1.1\r\nX: ${"a".repeat(300 * 1024)}\r\n${HEAD}`, 431],
    ["CONNECT", `CONNECT h:1 HTTP/1.1\r\n${HEAD}`, 405],
    ["OPTIONS *", `OPTIONS * HTTP/1.1\r\n${HEAD}`, 405],
  ] as const) {
    const client = new RawClient(t, port).send(text);
    await client.until(/"detail":/);
    t.ok(client.text.startsWith(`HTTP/1.1 ${status} `), `${what}: ${client.text.slice(0, 60)}`);
    t.match(client.text, /content-type: application\/json\r\n/, what);
    t.match(codeIn(client.text), /^(BAD_|HEADERS_TOO_LARGE|METHOD_NOT_ALLOWED)/, what);
    client.socket.destroy();
  }
  t.equal(reached, 0, "nothing of it reached the model server");
});

t.test("10,000 bytes of headers pass, in one field or a thousand", async (t) => {
  let bytes = 0;
  const upstream = await startHttp(t, (req, res) => {
    bytes = req.rawHeaders.join("").length;
    res.end();
  });
  upstream.server.maxHeadersCount = 0;
  const { port } = await startBefore(t, upstream);
  for (const fields of [`X: ${"a".repeat(10_000)}\r\n`, "a: b\r\n".repeat(2_500)]) {
    const client = new RawClient(t, port).send(`GET /models/m/x HTTP/1.1\r\n${fields}${HEAD}`);
    await client.until("200 OK");
    t.ok(bytes >= 5_000);
    client.socket.destroy();
  }
});

t.test("a client that is slow with its headers gets 408", async (t) => {
  const { port } = await startProxy(t, { config: { proxy: { timeouts: { headers: "200ms" } } } });
  const client = new RawClient(t, port).send("GET / HTTP/1.1\r\nHo");
  t.match(await client.closed(), /^HTTP\/1\.1 408 /);
  t.equal(codeIn(client.text), "HEADER_TIMEOUT");
});

t.test("a body above the limit is refused before it is read, and a chunked one when it grows beyond", async (t) => {
  let aborted = false;
  let reached = 0;
  const upstream = await startHttp(t, (req, res) => {
    reached += 1;
    req.resume();
    res.on("close", () => {
      aborted = true;
    });
  });
  const { port } = await startBefore(t, upstream, { proxy: { max_body_size: 1_000 } });
  const declared = new RawClient(t, port).send(`POST /models/m/process HTTP/1.1\r\nContent-Length: 1001\r\n${HEAD}`);
  t.match(await declared.until('"detail"'), /^HTTP\/1\.1 413 [\s\S]*1000 bytes[\s\S]*proxy\.max_body_size/);
  t.equal(reached, 0);
  const chunked = new RawClient(t, port).send(
    `POST /models/m/process HTTP/1.1\r\nTransfer-Encoding: chunked\r\n${HEAD}`,
  );
  chunked.send(`200\r\n${"a".repeat(512)}\r\n`);
  await poll(() => reached === 1, "the request");
  chunked.send(`200\r\n${"a".repeat(512)}\r\n`);
  t.match(await chunked.until('"detail"'), /^HTTP\/1\.1 413 /);
  await poll(() => aborted, "the abort at the model server");
});

t.test("a refusal in the middle of a big upload is read by a client that only writes first", async (t) => {
  const { port } = await startProxy(t);
  const body = "a".repeat(200_000);
  const client = new RawClient(t, port).send(
    `POST /models/nobody/process HTTP/1.1\r\nContent-Length: ${body.length}\r\n${HEAD}`,
  );
  client.send(body);
  t.match(await client.closed(), /^HTTP\/1\.1 404 [\s\S]*MODEL_UNKNOWN/);
  t.equal(client.error, null, "no reset");
});

t.test("a body that ends half-way is told so when the client still listens", async (t) => {
  const upstream = await startHttp(t, (req) => req.resume());
  const { port } = await startBefore(t, upstream);
  const client = new RawClient(t, port).send(`POST /models/m/process HTTP/1.1\r\nContent-Length: 100\r\n${HEAD}partly`);
  client.socket.end();
  t.match(await client.closed(), /^HTTP\/1\.1 400 [\s\S]*BODY_CUT_SHORT/);
});

t.test("silence inside a body is bounded: 408 for the client, a cut for the model server", async (t) => {
  const upstream = await startHttp(t, (req, res) => {
    req.resume();
    if (req.url === "/begun") res.write("begun");
  });
  const { port } = await startBefore(t, upstream, { proxy: { timeouts: { idle: "200ms" } } });
  const sender = new RawClient(t, port).send(`POST /models/m/process HTTP/1.1\r\nContent-Length: 100\r\n${HEAD}partly`);
  t.match(await sender.until('"detail"'), /^HTTP\/1\.1 408 [\s\S]*BODY_TIMEOUT/);
  const reader = new RawClient(t, port).send(`GET /models/m/begun HTTP/1.1\r\n${HEAD}`);
  t.notMatch(await reader.closed(), /0\r\n\r\n$/);
  t.match(reader.text, "begun");
});

t.test("each failure of a model server has its status: refused, silent, cut, not HTTP", async (t) => {
  const closed = net.createServer().listen(0, "127.0.0.1");
  await once(closed, "listening");
  const free = (closed.address() as net.AddressInfo).port;
  await new Promise((resolve) => closed.close(resolve));
  const silent = await startRaw(t, (socket) => socket.resume());
  let cuts = 0;
  const cut = await startRaw(t, (socket) => {
    socket.once("data", () => {
      cuts += 1;
      socket.destroy();
    });
  });
  const odd = await startRaw(t, (socket) => {
    socket.once("data", () => socket.write("HELLO\r\n\r\n"));
  });
  const models = Object.entries({ refused: free, silent: silent.port, cut: cut.port, odd: odd.port });
  const { url } = await startProxy(t, {
    config: {
      proxy: { timeouts: { response: "1s" } },
      discovery: { static: models.map(([name, port]) => ({ name, url: `http://127.0.0.1:${port}` })) },
    },
  });
  for (const [name, status, code] of [
    ["refused", 502, "UPSTREAM_REFUSED"],
    ["silent", 504, "UPSTREAM_TIMEOUT"],
    ["cut", 502, "UPSTREAM_CUT"],
    ["odd", 502, "UPSTREAM_PROTOCOL"],
  ] as const) {
    const got = await call(`${url}/models/${name}/info`);
    t.match(got, { status, headers: { "content-type": "application/json" } }, name);
    t.match(JSON.parse(got.body), { source: "sluice", error: { code, requestId: got.headers["x-request-id"] } });
  }
  t.equal(cuts, 1, "a fresh connection that is cut is not tried again");
});

t.test("a request that meets a kept connection being closed is repeated once, without body only", async (t) => {
  const requests: string[] = [];
  const upstream = await startRaw(t, (socket) => {
    let count = 0;
    socket.on("data", (chunk) => {
      count += 1;
      requests.push(chunk.toString().split(" ")[0]!);
      // The second request on a connection finds it gone, as when a server closes an idle one at that moment.
      if (count === 2) socket.resetAndDestroy();
      else socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    });
  });
  const { url } = await startBefore(t, upstream);
  t.equal((await call(`${url}/models/m/x`)).body, "ok");
  t.equal((await call(`${url}/models/m/x`)).body, "ok", "GET is repeated");
  t.same(requests, ["GET", "GET", "GET"]);
  const post = async () => (await call(`${url}/models/m/x`, { method: "POST", body: "b" })).status;
  t.same([await post(), await post()], [200, 502], "POST is not");
});

t.test("tracking ids that CMS would choke on are refused before the body is read", async (t) => {
  const seen: string[] = [];
  const upstream = await startHttp(t, async (req, res) => {
    await bodyOf(req);
    seen.push(req.url ?? "");
    res.end();
  });
  const { port, url } = await startBefore(t, upstream);
  for (const [sent, shown] of [
    ["", ""],
    ["-a", "-a"],
    ["a%0A", "a?"],
    ["%C3%A9", "é"],
    ["a b", "a b"],
    ["x".repeat(257), "x".repeat(64)],
  ]) {
    const client = new RawClient(t, port).send(
      `POST /models/m/preview?tracking_id=${encodeURI(decodeURIComponent(sent!)).replace("%0A", "%0A")} HTTP/1.1\r\nContent-Length: 10\r\n${HEAD}`,
    );
    await client.until('"detail"');
    t.match(client.text, /^HTTP\/1\.1 400 /);
    const { error, detail } = JSON.parse(Buffer.from(client.text.slice(client.text.indexOf("{")), "latin1").toString());
    t.equal(error.code, "INVALID_TRACKING_ID");
    t.equal(detail, `Invalid tracking ID '${shown}', must be an alphanumeric string of length 1 to 256`);
    client.socket.destroy();
  }
  for (const good of ["?tracking_id=a_B-9", "?other=-", ""]) {
    t.equal((await call(`${url}/models/m/preview${good}`, { method: "POST", body: "x" })).status, 200, good);
  }
  t.equal(
    (await call(`${url}/models/m/process?tracking_id=-`, { method: "POST", body: "x" })).status,
    200,
    "not a tracked route",
  );
  t.equal(seen.length, 4);
});

t.test("Expect: 100-continue is answered by us when the body is wanted, and not passed on", async (t) => {
  const expects: unknown[] = [];
  const upstream = await startHttp(t, async (req, res) => {
    expects.push(req.headers.expect);
    res.end(await bodyOf(req));
  });
  const { port } = await startBefore(t, upstream);
  const client = new RawClient(t, port).send(
    `POST /models/m/process HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n${HEAD}`,
  );
  t.equal(await client.until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  client.send("hi");
  await client.until(/200 OK[\s\S]*hi$/);
  t.same(expects, [undefined]);
  const refused = new RawClient(t, port).send(
    `POST /models/x/process HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n${HEAD}`,
  );
  t.match(await refused.until('"detail"'), /^HTTP\/1\.1 404 /, "a refusal comes in place of the 100");
});

t.test("an offer to upgrade to anything but WebSocket is passed over, body and all", async (t) => {
  const upstream = await startHttp(t, async (req, res) => {
    res.end(`${req.headers.upgrade} ${(await bodyOf(req)).toString()}`);
  });
  const { port } = await startBefore(t, upstream);
  const client = new RawClient(t, port).send(
    `POST /models/m/process HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nContent-Length: 5\r\n${HEAD}hello`,
  );
  t.match(await client.until("hello"), /^HTTP\/1\.1 200 [\s\S]*undefined hello$/);
});
