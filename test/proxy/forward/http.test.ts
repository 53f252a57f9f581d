import t from "tap";
import { bodyOf, call, poll, RawClient, startBefore, startHttp, startRaw } from "../rig.js";

t.test("GET and POST reach the model server below its prefix, and its answer comes back", async (t) => {
  const upstream = await startHttp(t, async (req, res) => {
    const body = await bodyOf(req);
    res.setHeader("content-type", "application/json");
    res.end(JSON.stringify({ method: req.method, url: req.url, headers: req.headers, body: body.toString() }));
  });
  const { url } = await startBefore(t, upstream);
  const got = await call(`${url}/models/m/info?a=1&b=%20`);
  t.equal(got.status, 200);
  const seen = JSON.parse(got.body);
  t.equal(seen.url, "/info?a=1&b=%20");
  t.equal(seen.headers["x-forwarded-prefix"], "/models/m");
  t.equal(seen.headers["x-forwarded-for"], "127.0.0.1");
  t.match(seen.headers.host, /^127\.0\.0\.1:\d+$/);
  t.match(got.headers["server-timing"], /^queue;dur=0, upstream;dur=[\d.]+, gateway;dur=[\d.]+$/);
  t.equal(got.headers["x-request-id"], seen.headers["x-request-id"]);

  for (const size of [1, 1_000, 70_000, 3_000_000]) {
    const body = "é".repeat(size);
    const posted = await call(`${url}/models/m/process`, {
      method: "POST",
      headers: { "content-type": "text/plain" },
      body,
    });
    const back = JSON.parse(posted.body);
    t.equal(back.body, body, `a body of ${size} characters arrives`);
    t.equal(back.headers["content-type"], "text/plain");
  }
});

t.test("an answer's head is passed on byte for byte: order, case, duplicates and Latin-1", async (t) => {
  const head =
    "HTTP/1.1 201 Really Made\r\nX-ODD-Case: a\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nx-note: caf\xe9 \xa7\r\nset-cookie: a=1\r\nSet-Cookie: b=2\r\n" +
    'Content-Length: 2\r\nContent-Disposition: attachment ; filename="\xe9ntit\xc3\xa9s.json"\r\nContent-Type: text/plain;charset=UTF-8\r\n\r\nok';
  const upstream = await startRaw(t, (socket) => {
    socket.once("data", () => socket.write(Buffer.from(head, "latin1")));
  });
  const { port } = await startBefore(t, upstream);
  const client = new RawClient(t, port).send("GET /models/m/x HTTP/1.1\r\nHost: h\r\n\r\n");
  const text = await client.until("\r\n\r\nok");
  t.ok(
    text.startsWith(
      "HTTP/1.1 201 Really Made\r\nX-ODD-Case: a\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nx-note: caf\xe9 \xa7\r\nset-cookie: a=1\r\nSet-Cookie: b=2\r\n",
    ),
    text,
  );
  t.match(text, 'Content-Disposition: attachment ; filename="\xe9ntit\xc3\xa9s.json"\r\n');
  t.match(text, "Content-Type: text/plain;charset=UTF-8\r\n");
  t.equal(text.match(/^date:/gim)?.length, 1);
});

t.test("a request's headers are passed on byte for byte, save those of the hop and of proxies", async (t) => {
  let seen = "";
  const upstream = await startRaw(t, (socket) => {
    socket.on("data", (chunk) => {
      seen += chunk.toString("latin1");
      if (seen.includes("\r\n\r\n")) socket.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    });
  });
  const { port } = await startBefore(t, upstream);
  const client = new RawClient(t, port).send(
    "GET /models/m/a%20b?q=%2F%2f&x=../.. HTTP/1.1\r\nHost: Gate.Example:81\r\nX-Odd: caf\xe9\r\nx-odd: again\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\n" +
      "TE: trailers\r\nKeep-Alive: 5\r\nProxy-Connection: x\r\nX-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Prefix: /evil\r\nX-Real-IP: 6\r\nForwarded: for=6\r\n" +
      "X-Sluice-Priority: 1\r\nPrefer: respond-async\r\nX-Request-Id: abc/1=\r\nAccept: a\r\n\r\n",
  );
  await client.until("200 OK");
  t.ok(seen.startsWith("GET /a%20b?q=%2F%2f&x=../.. HTTP/1.1\r\n"), seen);
  t.match(seen, /\r\nhost: Gate\.Example:81\r\n/i);
  t.match(seen, "X-Odd: caf\xe9\r\nx-odd: again\r\n");
  for (const gone of [
    "x-hop",
    "keep-alive: 5",
    "proxy-connection",
    "6.6.6.6",
    "evil",
    "x-real-ip",
    "\nforwarded",
    "x-sluice",
    "\nte:",
  ]) {
    t.notOk(seen.toLowerCase().includes(gone), `${JSON.stringify(gone)} is gone`);
  }
  t.match(seen, /x-forwarded-prefix: \/models\/m\r\n/);
  t.match(seen, /x-forwarded-host: Gate\.Example:81\r\n/);
  t.match(seen, /x-forwarded-proto: http\r\n/);
  t.match(seen, /Prefer: respond-async\r\n/, "nobody of ours consumes Prefer on a light request");
  t.match(seen, /x-request-id: abc\/1=\r\n/);
});

t.test("an event stream's head arrives before its first event", async (t) => {
  const upstream = await startHttp(t, (_req, res) => {
    res.writeHead(200, { "content-type": "text/event-stream" });
    res.flushHeaders();
    setTimeout(() => res.write(": connected\n\n"), 300).unref();
  });
  const { port } = await startBefore(t, upstream);
  const client = new RawClient(t, port).send("GET /models/m/stream/sse/events?client_id=1 HTTP/1.1\r\nHost: h\r\n\r\n");
  const text = await client.until("\r\n\r\n", 250);
  t.match(text, "text/event-stream");
  t.notMatch(text, "connected");
  await client.until(": connected");
});

t.test("request and answer overlap: each line comes back while the request's body is still open", async (t) => {
  const arrived: string[] = [];
  const upstream = await startHttp(t, (req, res) => {
    req.on("data", (chunk: Buffer) => {
      arrived.push(chunk.toString());
      res.write(`got ${chunk.toString()}`);
    });
    req.on("end", () => res.end("end\n"));
  });
  const { port } = await startBefore(t, upstream);
  const client = new RawClient(t, port).send(
    "POST /models/m/stream/process HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n",
  );
  for (const word of ["één\n", "two\n", "three\n"]) {
    const bytes = Buffer.from(word);
    client.send(Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from("\r\n")]));
    await client.until(`got ${bytes.toString("latin1")}`);
  }
  t.same(arrived, ["één\n", "two\n", "three\n"], "the chunks are the client's own, no character is split");
  t.notMatch(client.text, "end\n");
  client.send("0\r\n\r\n");
  await client.until("end\n");
  await client.until(/0\r\n\r\n$/);
});

t.test("a client that leaves is seen by the model server, before and after the answer's head", async (t) => {
  for (const answersFirst of [false, true]) {
    let opened = false;
    let closed = false;
    const upstream = await startHttp(t, (_req, res) => {
      opened = true;
      res.on("close", () => {
        closed = true;
      });
      if (answersFirst) res.write("begun");
    });
    const { port, proxy } = await startBefore(t, upstream);
    const client = new RawClient(t, port).send("GET /models/m/slow HTTP/1.1\r\nHost: h\r\n\r\n");
    await poll(() => opened, "the request");
    if (answersFirst) await client.until("begun");
    client.socket.destroy();
    await poll(() => closed, "the abort at the model server");
    await poll(() => proxy.inFlight === 0, "nothing in flight");
  }
});

t.test("a request body cut short by the client is never ended towards the model server", async (t) => {
  for (const framing of ["Content-Length: 100", "Transfer-Encoding: chunked"]) {
    let text = "";
    let closed = false;
    const upstream = await startRaw(t, (socket) => {
      socket.on("data", (chunk) => {
        text += chunk.toString("latin1");
      });
      socket.on("close", () => {
        closed = true;
      });
    });
    const { port } = await startBefore(t, upstream);
    const client = new RawClient(t, port).send(`POST /models/m/process HTTP/1.1\r\nHost: h\r\n${framing}\r\n\r\n`);
    client.send(framing.startsWith("C") ? "partly" : "6\r\npartly\r\n");
    await poll(() => text.includes("partly"), "the first part");
    client.socket.destroy();
    await poll(() => closed, "the abort");
    t.notOk(text.endsWith("0\r\n\r\n"), "no last chunk");
  }
});

t.test("an answer cut by the model server is cut for the client, never ended cleanly", async (t) => {
  const upstream = await startRaw(t, (socket) => {
    socket.once("data", () => {
      socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
      setTimeout(() => socket.destroy(), 30);
    });
  });
  const { port } = await startBefore(t, upstream);
  const client = new RawClient(t, port).send("GET /models/m/x HTTP/1.1\r\nHost: h\r\n\r\n");
  const text = await client.closed();
  t.match(text, "hello");
  t.notMatch(text, "0\r\n\r\n");
  const old = new RawClient(t, port).send("GET /models/m/x HTTP/1.0\r\n\r\n");
  await old.closed();
  t.equal(old.error?.code, "ECONNRESET", "without chunks only a reset tells a cut from an end");
});
