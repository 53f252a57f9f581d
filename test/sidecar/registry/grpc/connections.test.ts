import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { request } from "node:http";
import { connect } from "node:net";
import t from "tap";
import { bytes } from "../../../helpers/protobuf.js";
import { framed, openCall, openSession, statusOf } from "../../../helpers/raw-registry.js";
import { connectRegistry } from "../../../helpers/registry-client.js";
import { serveApart } from "./serve-apart.js";

const MIB = 2 ** 20;
const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

t.test("whoever speaks something else is cut off, and the next client served", async (t) => {
  // After a broken frame the session stands still, and only the next ping finds that out.
  const { client, port, until } = await serveApart(t, { keepaliveMs: 200, keepaliveTimeoutMs: 300 });
  const greetings: Buffer[] = [
    Buffer.from("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
    Buffer.from("\0\0\0"),
    randomBytes(1_000),
    Buffer.concat([Buffer.from(PREFACE), randomBytes(1_000)]),
    Buffer.concat([Buffer.from(PREFACE), Buffer.from([0xff, 0xff, 0xff, 0x04, 0, 0, 0, 0, 0])]),
    Buffer.from("\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03", "latin1"),
  ];
  for (let round = 0; round < 3; round++) {
    await Promise.all(
      greetings.map(async (greeting) => {
        const socket = connect(port, "127.0.0.1");
        socket.on("error", () => {});
        socket.resume();
        socket.write(greeting);
        const timer = setTimeout(() => socket.destroy(), 200);
        await once(socket, "close");
        clearTimeout(timer);
      }),
    );
  }
  t.equal((await client.ending("Version")).code, "OK");
  await until(({ open }) => open.connections === 1);
});

t.test("a browser on the port gets an end, not a hang", async (t) => {
  const { client, port } = await serveApart(t);
  const asked = request({ port, host: "127.0.0.1", path: "/cogmentAPI.ModelRegistrySP/Version", method: "POST" });
  asked.end();
  const [error] = (await once(asked, "error").catch((thrown) => [thrown])) as [Error];
  t.ok(error);
  t.equal((await client.ending("Version")).code, "OK");
});

t.test("a thousand connections come and go, and memory stays", async (t) => {
  const { client, port, until } = await serveApart(t);
  const wave = async () => {
    const sessions = Array.from({ length: 200 }, () => openSession(t, port));
    await Promise.all(
      sessions.map((session) => {
        const call = openCall(session, "Version");
        call.resume();
        call.end(framed(Buffer.alloc(0)));
        return statusOf(call);
      }),
    );
    for (const session of sessions) session.destroy();
    return until(({ open }) => open.connections <= 1);
  };
  await client.call("Version");
  await wave();
  const { memoryBytes: before } = await wave();
  for (let i = 0; i < 2; i++) await wave();
  const { memoryBytes } = await wave();
  t.ok(memoryBytes - before < 24 * MIB, `grew by ${Math.round((memoryBytes - before) / MIB)} MiB`);
});

t.test("more connections than are allowed are closed, and room is made again", async (t) => {
  const { port, until } = await serveApart(t, { maxConnections: 5 });
  const sockets = Array.from({ length: 5 }, () => connect(port, "127.0.0.1"));
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
  });
  await until(({ open }) => open.connections === 5);
  const late = connect(port, "127.0.0.1");
  late.on("error", () => {});
  await once(late, "close");
  sockets[0]!.destroy();
  await until(({ open }) => open.connections === 4);
  const client = connectRegistry(t, { port });
  t.equal((await client.ending("Version")).code, "OK");
});

t.test("floods of streams that are reset at once do no harm", async (t) => {
  const { client, port, state, until } = await serveApart(t);
  await client.createModel("foo");
  const { memoryBytes: before } = await state();
  for (let round = 0; round < 3; round++) {
    const session = openSession(t, port);
    await once(session, "connect");
    for (let i = 0; i < 2_000 && !session.closed && !session.destroyed; i++) {
      const stream = openCall(session, i % 2 === 0 ? "VersionUpdate" : "CreateVersion");
      stream.write(framed(bytes(1, "foo")));
      stream.close(8);
      if (i % 100 === 0) await new Promise(setImmediate);
    }
    session.destroy();
  }
  const { memoryBytes } = await until(({ open }) => open.calls === 0 && open.connections === 1);
  t.ok(memoryBytes - before < 48 * MIB, `grew by ${Math.round((memoryBytes - before) / MIB)} MiB`);
  t.equal((await client.ending("Version")).code, "OK");
});

t.test("uploads and downloads that nobody goes on with hold a few megabytes, not what was sent", async (t) => {
  const { client, port, state } = await serveApart(t);
  await client.createModel("foo");
  const data = Buffer.alloc(2 * MIB);
  await client.createVersion({ model_id: "foo", archived: true }, ...Array.from({ length: 32 }, () => data));
  const { memoryBytes: before } = await state();
  const readers = Array.from({ length: 8 }, () => connectRegistry(t, { port }));
  for (const reader of readers) {
    const call = reader.openStream("RetrieveVersionData", { model_id: "foo", version_number: 1 });
    call.on("error", () => {});
    await once(call, "data");
    call.pause();
  }
  await new Promise((resolve) => setTimeout(resolve, 500));
  const { memoryBytes } = await state();
  t.ok(memoryBytes - before < 100 * MIB, `grew by ${Math.round((memoryBytes - before) / MIB)} MiB`);
});

t.test("a download that its client takes nothing of is ended with its connection; one that moves is not", async (t) => {
  const { client, port, until } = await serveApart(t, { idleMs: 300, maxDownloads: 1 });
  await client.createModel("foo");
  const data = Buffer.alloc(2 * MIB);
  await client.createVersion({ model_id: "foo", archived: true }, data, data, data);
  const stalled = connectRegistry(t, { port });
  const call = stalled.openStream("RetrieveVersionData", { model_id: "foo", version_number: 1 });
  call.on("error", () => {});
  await once(call, "data");
  call.pause();
  // Waits in line behind it.
  t.equal((await client.data("foo", 1)).length, 6 * MIB);
  await until(({ open }) => open.connections === 1 && open.calls === 0);
});
