import { fork } from "node:child_process";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { fileURLToPath } from "node:url";
import t from "tap";
import { bytes, fixed64 } from "../../../helpers/protobuf.js";
import { framed, openCall, openSession, statusOf } from "../../../helpers/raw-registry.js";
import { serveApart } from "./serve-apart.js";

const SOON = { keepaliveMs: 200, keepaliveTimeoutMs: 300 };

t.test("a peer that says nothing at all is let go", async (t) => {
  const { client, port, until } = await serveApart(t, SOON);
  await client.call("Version");
  const sockets: Socket[] = Array.from({ length: 50 }, () => connect(port, "127.0.0.1"));
  for (const socket of sockets) socket.on("error", () => {});
  await until(({ open }) => open.connections === 51);
  await until(({ open }) => open.connections === 1);
  t.equal((await client.ending("Version")).code, "OK", "one that answers pings stays");
});

t.test("a watcher whose process stands still is let go; one that moves is not", async (t) => {
  const { client, port, until } = await serveApart(t, SOON);
  await client.createModel("foo");
  const watch = client.watch("foo");
  const file = fileURLToPath(new URL("./watching.js", import.meta.url));
  const child = fork(file, [`${port}`, "foo"]);
  t.teardown(() => child.kill("SIGKILL"));
  await once(child, "message");
  await until(({ open }) => open.watchers === 2);
  child.kill("SIGSTOP");
  await until(({ open }) => open.watchers === 1);
  await client.createVersion({ model_id: "foo" }, "x");
  await watch.until(1);
  t.strictSame(watch.numbers, [1]);
  watch.cancel();
});

t.test("a watcher whose process is killed is gone at once, long before a ping", async (t) => {
  const { client, port, until } = await serveApart(t);
  await client.createModel("foo");
  const child = fork(fileURLToPath(new URL("./watching.js", import.meta.url)), [`${port}`, "foo"]);
  t.teardown(() => child.kill("SIGKILL"));
  await once(child, "message");
  await until(({ open }) => open.watchers === 1);
  const begin = performance.now();
  child.kill("SIGKILL");
  await until(({ open }) => open.watchers === 0);
  t.ok(performance.now() - begin < 10_000);
});

t.test("an upload on which nothing comes is ended, and its place is free again", async (t) => {
  const { client, until } = await serveApart(t, { idleMs: 300 });
  await client.createModel("foo");
  const uploads = Array.from({ length: 64 }, () => client.openUpload());
  for (const { call } of uploads)
    call.write({ header: { version_info: { model_id: "foo", data_size: "3", archived: true } } });
  const endings = await Promise.all(uploads.map(({ reply }) => reply.catch((error) => error)));
  for (const { code } of endings) t.equal(code, "ABORTED");
  await until(({ open }) => open.calls === 0);
  t.equal((await client.createVersion({ model_id: "foo" }, "x")).version_number, 1);
});

t.test("one upload too many is refused, the others go on", async (t) => {
  const { client, until } = await serveApart(t);
  await client.createModel("foo");
  const uploads = Array.from({ length: 64 }, () => client.openUpload());
  for (const { call } of uploads)
    call.write({ header: { version_info: { model_id: "foo", data_size: "1", archived: true } } });
  await until(({ open }) => open.calls === 64);
  const late = client.openUpload();
  late.call.write({ header: { version_info: { model_id: "foo", data_size: "1", archived: true } } });
  await t.rejects(late.reply, { code: "RESOURCE_EXHAUSTED" });
  for (const { call } of uploads) {
    call.write({ body: { data_chunk: Buffer.from("x") } });
    call.end();
  }
  t.equal(new Set((await Promise.all(uploads.map(({ reply }) => reply))).map((info) => info.version_number)).size, 64);
});

t.test("a slow upload whose bytes trickle in stays", async (t) => {
  const { client, port } = await serveApart(t, { idleMs: 500 });
  await client.createModel("foo");
  const message = Buffer.alloc(40_000, 1);
  const upload = openCall(openSession(t, port), "CreateVersion");
  const status = statusOf(upload);
  upload.resume();
  upload.write(framed(bytes(1, bytes(1, bytes(1, "foo"), fixed64(6, BigInt(message.length))))));
  const body = framed(bytes(2, bytes(1, message)));
  for (let at = 0; at < body.length; at += 2_000) {
    upload.write(body.subarray(at, at + 2_000));
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  upload.end();
  t.equal(await status, "0");
});
