import { once } from "node:events";
import type { ServerResponse } from "node:http";
import t from "tap";
import { isOutdated } from "../../proxy/on-demand.js";
import { call, poll, RawClient, startHttp, startRaw } from "./rig.js";
import { entry, type SidecarWire, startBoth } from "./sidecar-wire.js";

const newest = (wire: SidecarWire) => wire.reports.at(-1);

t.test("a report tells what is in flight, and a request that has ended is use", async (t) => {
  const held: ServerResponse[] = [];
  const upstream = await startHttp(t, (_req, res) => void held.push(res));
  const { wire, url } = await startBoth(t);
  wire.publish([entry("a", upstream.port), entry("b", upstream.port)]);
  await poll(() => newest(wire)?.version === wire.version, "the table's acknowledgement");
  const answers = [call(`${url}/models/a/x`), call(`${url}/models/a/y`)];
  await poll(() => newest(wire)?.inFlight.a === 2, "both");
  t.match(newest(wire), { epoch: "wire", used: ["a"], inFlight: { a: 2 }, isLeaving: false });
  for (const res of held) res.end("done");
  await Promise.all(answers);
  await poll(() => newest(wire)?.inFlight.a === undefined, "their end");
  t.strictSame(new Set(wire.reports.map(({ proxy }) => proxy)).size, 1);
  const sequences = wire.reports.map(({ sequence }) => sequence);
  t.strictSame(
    sequences,
    [...sequences].sort((one, other) => one - other),
  );
  const before = wire.reports.length;
  for (let each = 0; each < 40; each++)
    await Promise.all([
      call(`${url}/models/b/x`),
      poll(() => held.length > each + 2, "it").then(() => held.at(-1)!.end("done")),
    ]);
  await poll(
    () => newest(wire)?.inFlight.b === undefined && wire.reports.some(({ used }) => used.includes("b")),
    "use",
  );
  t.ok(wire.reports.length - before < 20, `${wire.reports.length - before} reports for 40 requests`);
});

t.test("a request decided on a table is in the report that acknowledges the next one", async (t) => {
  const held: ServerResponse[] = [];
  const upstream = await startHttp(t, (_req, res) => void held.push(res));
  const { wire, url } = await startBoth(t);
  for (let round = 0; round < 25; round++) {
    wire.publish([entry("a", upstream.port)]);
    await poll(() => newest(wire)?.version === wire.version, "ready");
    const count = held.length;
    const answer = call(`${url}/models/a/x`);
    // Somewhere between the request's way out and its arrival.
    for (let each = 0; each < round % 5; each++) await new Promise(setImmediate);
    wire.publish([entry("a", upstream.port, { state: "draining" })]);
    await poll(() => newest(wire)?.version === wire.version, "the drain");
    const acknowledged = newest(wire)!;
    // It either arrived at the server, and is counted, or was turned away.
    const wasCounted = acknowledged.inFlight.a === 1;
    if (wasCounted) {
      await poll(() => held.length > count, "the request");
      held.at(-1)!.end("done");
      await poll(() => newest(wire)?.inFlight.a === undefined, "its end");
    }
    t.equal((await answer).status, wasCounted ? 200 : 503, `round ${round}`);
    t.equal(held.length, wasCounted ? count + 1 : count);
  }
});

t.test("a socket counts until it is closed", async (t) => {
  const server = await startRaw(t, (socket) =>
    socket.once("data", () =>
      socket.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"),
    ),
  );
  const { wire, port } = await startBoth(t);
  wire.publish([entry("a", server.port)]);
  await poll(() => newest(wire)?.version === wire.version, "the table");
  const client = new RawClient(t, port).send(
    "GET /models/a/stream/ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
  );
  await client.until("101");
  await poll(() => newest(wire)?.inFlight.a === 1, "the socket");
  client.socket.destroy();
  await poll(() => newest(wire)?.inFlight.a === undefined, "its end");
  t.pass();
});

t.test("an answer that is older than the table by now is asked for again", async (t) => {
  const upstream = await startHttp(t, (_req, res) => res.end("served"));
  const { wire, url } = await startBoth(t);
  const draining = entry("a", 1, { state: "draining", onDemand: true });
  wire.publish([draining]);
  let asked = 0;
  wire.answer = (_req, res) => {
    asked += 1;
    const isFirst = asked === 1;
    const version = wire.version;
    if (isFirst) wire.publish([draining]);
    const send = () => {
      res.setHeader("sluice-table-version", `${version} wire`);
      // The first one names the server that is being stopped.
      res.end(JSON.stringify(entry("a", isFirst ? 1 : upstream.port)));
    };
    if (isFirst) void poll(() => newest(wire)?.version === wire.version, "the newer table").then(send);
    else send();
  };
  await poll(() => newest(wire)?.version === wire.version, "the table");
  t.match(await call(`${url}/models/a/x`), { status: 200, body: "served" });
  t.equal(asked, 2);
});

t.test("which answers are outdated", async (t) => {
  const at = (epoch: string, version: number) => ({ epoch, version });
  t.notOk(isOutdated(null, at("a", 1), at("a", 2)));
  t.notOk(isOutdated(at("a", 2), at("a", 1), at("a", 2)));
  t.notOk(isOutdated(at("a", 3), at("a", 1), at("a", 2)), "our stream is behind");
  t.ok(isOutdated(at("a", 1), at("a", 1), at("a", 2)));
  t.notOk(isOutdated(at("b", 1), at("a", 7), at("a", 7)), "a new sidecar, whose table has not come yet");
  t.ok(isOutdated(at("a", 7), at("a", 7), at("b", 1)), "an earlier sidecar");
});

t.test("a report that does not arrive is made anew with the newest state, and use is not forgotten", async (t) => {
  const upstream = await startHttp(t, (_req, res) => res.end("done"));
  const { wire, url } = await startBoth(t);
  wire.publish([entry("a", upstream.port)]);
  await poll(() => newest(wire)?.version === wire.version, "the table");
  wire.answerReport = (res) => res.destroy();
  const before = wire.reports.length;
  await call(`${url}/models/a/x`);
  await poll(() => wire.reports.length > before, "the report that is cut");
  t.match(newest(wire), { used: ["a"] });
  const refused = wire.reports.length;
  wire.answerReport = (res) => res.writeHead(204).end();
  await poll(() => wire.reports.length > refused, "another one");
  t.match(newest(wire), { used: ["a"], inFlight: {} });
});

t.test("a proxy that stops says goodbye once nothing is in flight any more", async (t) => {
  const upstream = await startHttp(t, () => {});
  const { wire, url, proxy } = await startBoth(t);
  wire.publish([entry("a", upstream.port)]);
  await poll(() => newest(wire)?.version === wire.version, "the table");
  const cut = call(`${url}/models/a/x`).catch(() => null);
  await once(upstream.server, "request");
  await proxy.stop(Date.now() + 100);
  await cut;
  t.match(newest(wire), { isLeaving: true, inFlight: {} });
});
