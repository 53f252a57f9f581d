import type { ClientHttp2Session, ClientHttp2Stream } from "node:http2";
import t from "tap";
import { bytes } from "../../../helpers/protobuf.js";
import { framed, openCall, openSession } from "../../../helpers/raw-registry.js";
import { serveApart } from "./serve-apart.js";

const MIB = 2 ** 20;

/** Streams that were each told of the newest version. */
async function watch(session: ClientHttp2Session, count: number): Promise<ClientHttp2Stream[]> {
  const streams = Array.from({ length: count }, () => {
    const stream = openCall(session, "VersionUpdate");
    stream.end(framed(bytes(1, "foo")));
    return stream;
  });
  await allTold(streams);
  return streams;
}

async function allTold(streams: readonly ClientHttp2Stream[]): Promise<void> {
  await Promise.all(streams.map((stream) => new Promise((resolve) => stream.once("data", resolve))));
}

t.test("a thousand watchers hear of each version", async (t) => {
  const { client, port } = await serveApart(t);
  await client.createModel("foo");
  await client.createVersion({ model_id: "foo" }, "x");
  const sessions = Array.from({ length: 4 }, () => openSession(t, port));
  const streams = (await Promise.all(sessions.map((session) => watch(session, 250)))).flat();
  t.equal(streams.length, 1_000);
  for (let version = 2; version <= 4; version++) {
    const told = allTold(streams);
    await client.createVersion({ model_id: "foo" }, "x");
    await told;
  }
});

t.test("ten thousand watchers that come and go leave nothing", async (t) => {
  const { client, port, until } = await serveApart(t);
  await client.createModel("foo");
  await client.createVersion({ model_id: "foo" }, "x");
  const wave = async () => {
    const sessions = Array.from({ length: 4 }, () => openSession(t, port));
    const streams = (await Promise.all(sessions.map((session) => watch(session, 500)))).flat();
    // Some say goodbye, most are cut off.
    for (const stream of streams.slice(0, 100)) stream.close(8);
    for (const session of sessions) session.destroy();
    return until(({ open }) => open.watchers === 0 && open.connections === 1);
  };
  await wave();
  const { memoryBytes: before } = await wave();
  for (let i = 0; i < 2; i++) await wave();
  const { memoryBytes, open } = await wave();
  t.equal(open.calls, 0);
  t.ok(memoryBytes - before < 24 * MIB, `grew by ${Math.round((memoryBytes - before) / MIB)} MiB`);
  t.equal((await client.data("foo", 1)).toString(), "x");
});

t.test("a watcher that takes nothing costs one announcement, and the newest comes when it takes again", async (t) => {
  const { client, state } = await serveApart(t);
  await client.createModel("foo");
  const watch = client.watch("foo");
  await client.createVersion({ model_id: "foo" }, "x");
  await watch.until(1);
  watch.call.pause();
  const { memoryBytes: before } = await state();
  const userData = { k: "v".repeat(200 * 1024) };
  for (let i = 2; i <= 120; i++) await client.createVersion({ model_id: "foo", user_data: userData }, "x");
  const { memoryBytes } = await state();
  // The infos of the versions themselves are 20 MB.
  t.ok(memoryBytes - before < 64 * MIB, `grew by ${Math.round((memoryBytes - before) / MIB)} MiB`);
  watch.call.resume();
  await watch.until(120);
  t.ok(watch.numbers.length < 60, `${watch.numbers.length} announcements`);
  watch.cancel();
});
