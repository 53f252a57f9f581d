import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import t, { type Test } from "tap";
import WebSocket, { type ServerOptions, WebSocketServer } from "ws";
import { poll, RawClient, startBefore, startProxy, startRaw } from "../rig.js";

async function startSockets(t: Test, options: ServerOptions = {}) {
  const server = http.createServer();
  const sockets = new WebSocketServer({ server, ...options });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.teardown(() => {
    for (const each of sockets.clients) each.terminate();
    server.close();
    server.closeAllConnections();
  });
  return { port: (server.address() as AddressInfo).port, sockets };
}

const HANDSHAKE =
  "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nHost: h\r\n\r\n";

t.test("frames, close codes, pings and deflate pass both ways", async (t) => {
  const upstream = await startSockets(t, { perMessageDeflate: true });
  let head: http.IncomingMessage | undefined;
  let pinged = "";
  upstream.sockets.on("connection", (socket, req) => {
    head = req;
    socket.on("message", (data) => socket.send(`[${data}]`));
    socket.on("ping", (data) => {
      pinged = data.toString();
    });
    socket.on("close", (code) => socket.emit("seen", code));
  });
  const { port, proxy } = await startBefore(t, upstream);
  const client = new WebSocket(`ws://127.0.0.1:${port}/models/m/stream/ws?a=1`, {
    perMessageDeflate: { threshold: 0 },
    headers: { "x-forwarded-prefix": "/evil", "x-forwarded-for": "6.6.6.6" },
  });
  await once(client, "open");
  t.match(client.extensions, "permessage-deflate");
  t.equal(head?.url, "/stream/ws?a=1");
  t.equal(head?.headers["x-forwarded-for"], "127.0.0.1");
  t.notOk(head?.headers["x-forwarded-prefix"], "no prefix on WebSockets");
  client.send("naïve ".repeat(1_000));
  const [answer] = await once(client, "message");
  t.equal(String(answer), `[${"naïve ".repeat(1_000)}]`);
  client.ping("p1");
  const [pong] = await once(client, "pong");
  t.equal(String(pong), "p1");
  t.equal(pinged, "p1", "the model server answered it, not we");
  const serverSide = [...upstream.sockets.clients][0]!;
  serverSide.close(4321, "own reason");
  const [code, reason] = await once(client, "close");
  t.same([code, String(reason)], [4321, "own reason"]);

  const second = new WebSocket(`ws://127.0.0.1:${port}/models/m/stream/ws`);
  await once(second, "open");
  const other = [...upstream.sockets.clients][0]!;
  second.close(3000);
  const [seen] = await once(other, "close");
  t.equal(seen, 3000);
  await poll(() => proxy.inFlight === 0, "nothing open");
});

t.test("a refused handshake comes back with its own status, headers and empty body", async (t) => {
  const upstream = await startSockets(t, {
    verifyClient: (_info, done) => done(false, 403, "", { "x-why": "token" }),
  });
  const { port } = await startBefore(t, upstream);
  const client = new RawClient(t, port).send(`GET /models/m/stream/ws HTTP/1.1\r\n${HANDSHAKE}`);
  const text = await client.closed();
  t.match(text, /^HTTP\/1\.1 403 /);
  t.match(text, /x-why: token\r\n/);
  t.match(text, /x-request-id: /);
});

t.test("a handshake with a model server that is away, unknown or silent is answered in our envelope", async (t) => {
  const silent = await startRaw(t, (socket) => socket.resume());
  const { port, proxy } = await startProxy(t, {
    config: {
      proxy: { timeouts: { response: "200ms" } },
      discovery: {
        static: [
          { name: "away", url: "http://127.0.0.1:1" },
          { name: "silent", url: `http://127.0.0.1:${silent.port}` },
        ],
      },
    },
  });
  for (const [name, status, code] of [
    ["away", 502, "UPSTREAM_REFUSED"],
    ["nobody", 503, "SIDECAR_UNAVAILABLE"],
    ["silent", 504, "UPSTREAM_TIMEOUT"],
  ] as const) {
    const client = new RawClient(t, port).send(`GET /models/${name}/stream/ws HTTP/1.1\r\n${HANDSHAKE}`);
    const text = await client.closed();
    t.match(text, new RegExp(`^HTTP/1\\.1 ${status} [\\s\\S]*${code}`), name);
  }
  await poll(() => proxy.inFlight === 0, "nothing open");
});

t.test("an abort on either side is seen on the other, before and after the upgrade", async (t) => {
  const upstream = await startSockets(t);
  const { port, proxy } = await startBefore(t, upstream);
  for (const side of ["client", "server"] as const) {
    const client = new WebSocket(`ws://127.0.0.1:${port}/models/m/stream/ws`);
    client.on("error", () => {});
    await once(client, "open");
    const other = [...upstream.sockets.clients][0]!;
    const left = side === "client" ? once(other, "close") : once(client, "close");
    (side === "client" ? client : other).terminate();
    const [code] = await left;
    t.equal(code, 1006, `${side} vanished`);
  }
  let gone = false;
  const silent = await startRaw(t, (socket) => {
    socket.resume();
    socket.on("close", () => {
      gone = true;
    });
  });
  const waiting = await startBefore(t, silent);
  const early = new RawClient(t, waiting.port).send(`GET /models/m/stream/ws HTTP/1.1\r\n${HANDSHAKE}`);
  await poll(() => silent.sockets.length === 1, "the handshake");
  early.socket.end();
  await poll(() => gone, "the abort of a waiting handshake");
  await poll(() => proxy.inFlight === 0, "nothing open");
});

t.test("an upgrade's early bytes are not lost, and a plain GET of the same path is plain", async (t) => {
  const upstream = await startRaw(t, (socket) => {
    let text = "";
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1");
      if (!text.includes("\r\n\r\n")) return;
      if (/upgrade: websocket/i.test(text) && !text.includes("EARLY")) {
        socket.write(
          "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nX-Request-Id: theirs\r\n\r\nFIRST",
        );
      } else if (text.includes("EARLY")) socket.write("HEARD");
      else socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
    });
  });
  const { port } = await startBefore(t, upstream);
  const client = new RawClient(t, port).send(
    `GET /models/m/stream/ws HTTP/1.1\r\nX-Request-Id: mine\r\n${HANDSHAKE}EARLY`,
  );
  const text = await client.until("FIRSTHEARD");
  t.match(text, /^HTTP\/1\.1 101 [\s\S]*x-request-id: mine\r\n/);
  const plain = new RawClient(t, port).send("GET /models/m/stream/ws HTTP/1.1\r\nHost: h\r\n\r\n");
  t.match(await plain.until("{}"), /^HTTP\/1\.1 200 /);
});

t.test("stopping ends open sockets with a going-away frame on both sides", async (t) => {
  const upstream = await startSockets(t);
  const { port, proxy } = await startBefore(t, upstream);
  const client = new WebSocket(`ws://127.0.0.1:${port}/models/m/stream/ws`);
  await once(client, "open");
  const other = [...upstream.sockets.clients][0]!;
  const codes = Promise.all([once(client, "close"), once(other, "close")]);
  await proxy.stop(Date.now() + 5_000);
  const [[mine], [theirs]] = await codes;
  t.same([mine, theirs], [1001, 1001]);
});
