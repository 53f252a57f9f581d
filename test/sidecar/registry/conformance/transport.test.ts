import { connect } from "node:http2";
import t from "tap";
import { bytes } from "../../../helpers/protobuf.js";
import { connectRegistry } from "../../../helpers/registry-client.js";
import { startRegistry } from "../grpc-rig.js";

t.test("Version and Status answer at once", async (t) => {
  const { client } = await startRegistry(t);
  t.strictSame(await client.call("Version"), { versions: [] });
  const rows: [string, string[], Record<string, string>][] = [
    ["no names", [], {}],
    ["overall_load", ["overall_load"], { overall_load: "0" }],
    ["a star", ["*"], { overall_load: "0" }],
    ["a star among others", ["x", "*", "y"], { overall_load: "0" }],
    ["anything else", ["uptime", ""], {}],
    ["overall_load among others", ["x", "overall_load"], { overall_load: "0" }],
  ];
  for (const [name, names, statuses] of rows) {
    await t.test(`Status of ${name}`, async (t) => t.strictSame(await client.call("Status", { names }), { statuses }));
  }
});

t.test("overall_load is how much of what may be under way is", async (t) => {
  const { client, registry } = await startRegistry(t);
  await registry.putModel({ modelId: "foo", userData: {} });
  const header = {
    modelId: "foo",
    archived: true,
    dataBytes: 1,
    dataHash: null,
    creationTimestamp: null,
    userData: {},
  };
  const uploads = await Promise.all(Array.from({ length: 16 }, () => registry.create(header)));
  t.strictSame(await client.call("Status", { names: ["*"] }), { statuses: { overall_load: "25" } });
  await Promise.all(uploads.map((upload) => upload.abort()));
  t.strictSame(await client.call("Status", { names: ["*"] }), { statuses: { overall_load: "0" } });
});

t.test("messages above 4 MiB are refused with RESOURCE_EXHAUSTED, those of 4 MiB taken", async (t) => {
  const { client } = await startRegistry(t);
  await client.createModel("foo");
  // A name of one letter is three bytes, five for the list.
  const names = (total: number) => ({ names: ["x".repeat(total - 5)] });
  t.equal((await client.ending("Status", names(2 ** 22))).code, "OK");
  t.equal((await client.ending("Status", names(2 ** 22 + 1))).code, "RESOURCE_EXHAUSTED");
});

t.test("replies may be longer than 4 MiB, for clients that take them", async (t) => {
  const { client, server } = await startRegistry(t);
  const userData = { k: "v".repeat(250 * 1024) };
  for (let i = 0; i < 18; i++) await client.createModel(`m${i}`, userData);
  t.equal((await client.ending("RetrieveModels")).code, "RESOURCE_EXHAUSTED");
  const open = connectRegistry(t, server, { "grpc.max_receive_message_length": -1 });
  t.equal((await open.call("RetrieveModels")).model_infos.length, 18);
});

t.test("compressed requests are read, replies are not compressed", async (t) => {
  const { server } = await startRegistry(t);
  const client = connectRegistry(t, server, { "grpc.default_compression_algorithm": 2 });
  await client.createModel("foo", { k: "v".repeat(1_000) });
  t.equal((await client.call("RetrieveModels")).model_infos[0].user_data.k.length, 1_000);
});

t.test("a message that grows beyond 4 MiB when it is unpacked is refused", async (t) => {
  const { server } = await startRegistry(t);
  const client = connectRegistry(t, server, { "grpc.default_compression_algorithm": 2 });
  const { code } = await client.ending("Status", { names: ["x".repeat(50 * 2 ** 20)] });
  t.equal(code, "RESOURCE_EXHAUSTED");
});

t.test("reflection is there when asked for alone, in v1 and v1alpha", async (t) => {
  const listServices = bytes(7, "*");
  for (const reflection of [true, false]) {
    const { client } = await startRegistry(t, { reflection });
    for (const version of ["v1", "v1alpha"]) {
      const path = `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`;
      const { code, replies } = await client.raw(path, [listServices, listServices]);
      t.equal(code, reflection ? "OK" : "UNIMPLEMENTED");
      if (reflection) t.match(replies[1]!.toString(), "cogmentAPI.ModelRegistrySP");
    }
  }
});

t.test("reflection tells the messages", async (t) => {
  const { client } = await startRegistry(t, { reflection: true });
  const path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
  const { replies } = await client.raw(path, [bytes(4, "cogmentAPI.ModelRegistrySP")]);
  for (const word of ["CreateVersionRequestChunk", "next_version_handle", "ModelVersionInfo", "data_chunk"]) {
    t.match(replies[0]!.toString("latin1"), word);
  }
});

t.test("no health service, unknown methods UNIMPLEMENTED", async (t) => {
  const { client } = await startRegistry(t);
  for (const path of ["/grpc.health.v1.Health/Check", "/x", "/cogmentAPI.ModelRegistrySP/", "//"]) {
    t.equal((await client.raw(path, [Buffer.alloc(0)])).code, "UNIMPLEMENTED", path);
  }
});

t.test("clients may ping as often as they like, without an open call", async (t) => {
  const { server } = await startRegistry(t);
  const session = connect(`http://127.0.0.1:${server.port}`);
  t.teardown(() => session.destroy());
  let farewell = 0;
  session.on("goaway", () => (farewell += 1));
  for (let i = 0; i < 200; i++) await new Promise((resolve) => session.ping(resolve));
  t.equal(farewell, 0);
  t.notOk(session.closed);
});

t.test("streams on one connection are limited to what is announced", async (t) => {
  const { server } = await startRegistry(t);
  const session = connect(`http://127.0.0.1:${server.port}`);
  t.teardown(() => session.destroy());
  const settings = await new Promise<{ maxConcurrentStreams?: number }>((resolve) =>
    session.once("remoteSettings", resolve),
  );
  t.equal(settings.maxConcurrentStreams, 10_000);
});

t.test("a stop ends watchers first, refuses new calls and lets running ones end", async (t) => {
  const { client, server } = await startRegistry(t);
  await client.createModel("foo");
  const watch = client.watch("foo");
  const { call, reply } = client.openUpload();
  call.write({ header: { version_info: { model_id: "foo", data_size: "3", archived: true } } });
  while (server.open.calls < 2) await new Promise(setImmediate);
  let isStopped = false;
  const begin = performance.now();
  const stopped = server.stop(10_000).then(() => {
    isStopped = true;
  });
  t.strictSame(await watch.ended, { code: "UNAVAILABLE", details: "the model registry is stopping" });
  const late = connectRegistry(t, server);
  t.equal((await late.ending("Version")).code, "UNAVAILABLE");
  t.equal(isStopped, false);
  call.write({ body: { data_chunk: Buffer.from("abc") } });
  call.end();
  t.equal((await reply).version_number, 1);
  await stopped;
  t.ok(performance.now() - begin < 5_000, "long before the deadline");
});

t.test("a stop without anything under way is at once, with clients connected", async (t) => {
  const { client, server } = await startRegistry(t);
  await client.call("Version");
  const watches = Array.from({ length: 50 }, () => client.watch("foo"));
  await client.createModel("foo");
  const begin = performance.now();
  await server.stop(10_000);
  t.ok(performance.now() - begin < 2_000);
  for (const watch of watches) await watch.ended;
});

t.test("what still runs at the deadline is ended, and leaves nothing", async (t) => {
  const { client, server, registry } = await startRegistry(t);
  await client.createModel("foo");
  const { call, reply } = client.openUpload();
  call.write({ header: { version_info: { model_id: "foo", data_size: "3", archived: true } } });
  while (server.open.calls === 0) await new Promise(setImmediate);
  const begin = performance.now();
  await server.stop(300);
  t.ok(performance.now() - begin >= 295);
  t.ok(performance.now() - begin < 3_000);
  await t.rejects(reply);
  t.equal(server.open.calls, 0);
  t.equal(registry.latest("foo"), null);
});

t.test("a port that is taken is an error with its code", async (t) => {
  const { server } = await startRegistry(t);
  await t.rejects(startRegistry(t, { port: server.port }), { code: "EADDRINUSE" });
});
