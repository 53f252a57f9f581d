import t from "tap";
import { call, RawClient, startBefore, startHttp, startRaw } from "../rig.js";

t.test("answers without a body keep their head: HEAD, 204, 304", async (t) => {
  const upstream = await startHttp(t, (req, res) => {
    if (req.method === "HEAD") res.writeHead(200, { "content-length": "1234", "x-a": "1" });
    else if (req.url === "/204") res.writeHead(204, { "x-a": "1" });
    else res.writeHead(304, { etag: '"x"', "content-length": "99" });
    res.end();
  });
  const { url, port } = await startBefore(t, upstream);
  t.match(await call(`${url}/models/m/x`, { method: "HEAD" }), {
    status: 200,
    headers: { "content-length": "1234" },
    body: "",
  });
  t.match(await call(`${url}/models/m/204`), { status: 204, headers: { "x-a": "1" }, body: "" });
  t.match(await call(`${url}/models/m/304`), { status: 304, headers: { etag: '"x"' }, body: "" });
  const client = new RawClient(t, port);
  client.send("HEAD /models/m/x HTTP/1.1\r\nHost: h\r\n\r\n");
  await client.until("\r\n\r\n");
  client.send("GET /models/m/204 HTTP/1.1\r\nHost: h\r\n\r\n");
  await client.until("204 No Content");
  t.pass("the connection stays usable after each");
});

t.test("redirects, cookies and trailers of a model server work through the gateway", async (t) => {
  const upstream = await startHttp(t, (req, res) => {
    if (req.url === "/trailers") {
      res.writeHead(200, { trailer: "x-sum" });
      res.write("body");
      res.addTrailers({ "X-Sum": "42" });
      res.end();
      return;
    }
    res.writeHead(307, {
      location: `http://${req.headers.host}/docs`,
      "set-cookie": ["a=1; Path=/; HttpOnly", "b=2"],
    });
    res.end();
  });
  const { url, port } = await startBefore(t, upstream);
  const got = await call(`${url}/models/m/`.replace(/\/$/, "/ollama"));
  t.equal(got.status, 307);
  t.equal(got.headers.location, "/models/m/docs");
  t.same(got.headers["set-cookie"], ["a=1; Path=/models/m/; HttpOnly", "b=2"]);
  const client = new RawClient(t, port).send("GET /models/m/trailers HTTP/1.1\r\nHost: h\r\n\r\n");
  await client.until(/0\r\nX-Sum: 42\r\n\r\n$/);
});

t.test("interim answers are passed over", async (t) => {
  const upstream = await startRaw(t, (socket) => {
    socket.once("data", () =>
      socket.write("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
    );
  });
  const { url } = await startBefore(t, upstream);
  t.match(await call(`${url}/models/m/x`), { status: 200, body: "ok" });
});

t.test("an answer that comes before the request's end reaches the client, and its connection goes on", async (t) => {
  const upstream = await startRaw(t, (socket) => {
    socket.once("data", () => socket.write("HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno"));
  });
  const { port } = await startBefore(t, upstream);
  const client = new RawClient(t, port);
  client.send("POST /models/m/process HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\nstart");
  await client.until(/401 Unauthorized[\s\S]*no$/);
  client.send(Buffer.alloc(100_000 - 5, "x"));
  client.send("GET /livez HTTP/1.1\r\nHost: h\r\n\r\n");
  await client.until(/200 OK[\s\S]*ok$/);
});

t.test("a 503 of a model server is its own answer and ejects nothing", async (t) => {
  let count = 0;
  const upstream = await startHttp(t, (_req, res) => {
    count += 1;
    res.writeHead(count === 1 ? 503 : 200, { "content-type": "application/json" });
    res.end('{"message":"Another training or evaluation on this model is still active."}');
  });
  const { url } = await startBefore(t, upstream);
  const busy = await call(`${url}/models/m/x`);
  t.match(busy, { status: 503, body: /still active/ });
  t.notOk(busy.headers["retry-after"]);
  t.equal((await call(`${url}/models/m/x`)).status, 200);
});

t.test("NDJSON passes untouched, last newline or none, in the chunks it came in", async (t) => {
  const upstream = await startRaw(t, (socket) => {
    socket.once("data", () =>
      socket.write(
        "HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n{}\n\n\r\n2\r\n{}\r\n0\r\n\r\n",
      ),
    );
  });
  const { port } = await startBefore(t, upstream);
  const client = new RawClient(t, port).send("GET /models/m/x HTTP/1.1\r\nHost: h\r\n\r\n");
  await client.until(/4\r\n\{\}\n\n\r\n2\r\n\{\}\r\n0\r\n\r\n$/);
  t.match(client.text, "content-type: application/x-ndjson; charset=utf-8\r\n");
});

t.test("a slow reader holds the model server back instead of filling our memory", async (t) => {
  let sent = 0;
  const total = 64 * 2 ** 20;
  const upstream = await startHttp(t, (_req, res) => {
    const chunk = Buffer.alloc(64 * 1024);
    const more = () => {
      while (sent < total) {
        sent += chunk.length;
        if (!res.write(chunk)) {
          res.once("drain", more);
          return;
        }
      }
      res.end();
    };
    more();
  });
  const { port } = await startBefore(t, upstream);
  const client = new RawClient(t, port);
  client.socket.pause();
  client.send("GET /models/m/x HTTP/1.1\r\nHost: h\r\n\r\n");
  let before = -1;
  while (before !== sent || sent === 0) {
    before = sent;
    await new Promise((resolve) => setTimeout(resolve, 150));
  }
  t.ok(sent < total / 2, `${sent} of ${total} bytes were let through`);
});
