import { createHash } from "node:crypto";
import t from "tap";
import type { RegistryClient } from "../../../helpers/registry-client.js";
import { startRegistry } from "../grpc-rig.js";

const header = (info: object) => ({ header: { version_info: info } });
const body = (data: string | Buffer) => ({ body: { data_chunk: Buffer.from(data as string) } });

async function refused(client: RegistryClient, messages: object[]) {
  return client.uploadMessages(messages).then(
    () => ({ code: "OK", details: "" }),
    ({ code, details }) => ({ code, details }),
  );
}

t.test("CreateVersion refuses", async (t) => {
  const { client } = await startRegistry(t);
  await client.createModel("foo");
  const wrongSize = (expected: number, received: number) =>
    `stream ended while having not received the expected data, expected ${expected} bytes, received ${received} bytes`;

  const rows: [string, object[], string, string | RegExp][] = [
    ["a stream without messages", [], "INVALID_ARGUMENT", "empty request"],
    ["a body first", [body("x")], "INVALID_ARGUMENT", "first request chunk does not include a Header"],
    ["an empty first message", [{}], "INVALID_ARGUMENT", "first request chunk does not include a Header"],
    [
      "a second header",
      [header({ model_id: "foo", data_size: "1" }), header({ model_id: "foo", data_size: "1" })],
      "INVALID_ARGUMENT",
      "subsequent request chunk do not include a Body",
    ],
    [
      "an empty message after the header",
      [header({ model_id: "foo", data_size: "1" }), {}, body("x")],
      "INVALID_ARGUMENT",
      "subsequent request chunk do not include a Body",
    ],
    ["too little", [header({ model_id: "foo", data_size: "3" }), body("xy")], "INVALID_ARGUMENT", wrongSize(3, 2)],
    ["nothing of what was said", [header({ model_id: "foo", data_size: "3" })], "INVALID_ARGUMENT", wrongSize(3, 0)],
    ["too much", [header({ model_id: "foo", data_size: "3" }), body("xyzw")], "INVALID_ARGUMENT", wrongSize(3, 4)],
    ["data where no size was said", [header({ model_id: "foo" }), body("x")], "INVALID_ARGUMENT", wrongSize(0, 1)],
    [
      "another hash",
      [header({ model_id: "foo", data_size: "1", data_hash: `${"A".repeat(43)}=` }), body("x")],
      "INVALID_ARGUMENT",
      `received data did not match the expected hash, expected "${"A".repeat(43)}=", received "LXEWQrcmsEQBYnyp+6wy9chTD7GQPMTbAiWHF5IaSIE="`,
    ],
    [
      "a hash that is none",
      [header({ model_id: "foo", data_size: "1", data_hash: "abc" }), body("x")],
      "INVALID_ARGUMENT",
      /hash/,
    ],
    ["an unknown model", [header({ model_id: "bar", data_size: "1" }), body("x")], "NOT_FOUND", 'no model "bar" found'],
    ["no model's name", [header({ data_size: "1" }), body("x")], "NOT_FOUND", 'no model "" found'],
    [
      "a header without version_info",
      [{ header: {} }, body("x")],
      "INVALID_ARGUMENT",
      "the Header has no version_info",
    ],
    [
      "a size beyond all",
      [header({ model_id: "foo", data_size: "18446744073709551615" }), body("x")],
      "RESOURCE_EXHAUSTED",
      /18446744073709551615 bytes/,
    ],
    [
      "user data beyond 256 KiB",
      [header({ model_id: "foo", data_size: "1", user_data: { k: "v".repeat(256 * 1024 + 1) } }), body("x")],
      "INVALID_ARGUMENT",
      /user.data/,
    ],
  ];
  for (const [name, messages, code, details] of rows) {
    await t.test(name, async (t) => {
      const ending = await refused(client, messages);
      t.equal(ending.code, code);
      if (typeof details === "string") t.equal(ending.details, details);
      else t.match(ending.details, details);
    });
  }

  await t.test("a message above 4 MiB", async (t) => {
    const { code } = await refused(client, [
      header({ model_id: "foo", data_size: `${2 ** 22}` }),
      body(Buffer.alloc(2 ** 22)),
    ]);
    t.equal(code, "RESOURCE_EXHAUSTED");
  });

  await t.test("and uses no number for what it refused", async (t) => {
    t.equal((await client.createVersion({ model_id: "foo" }, "x")).version_number, 1);
  });
});

t.test("CreateVersion", async (t) => {
  const { client } = await startRegistry(t);
  await client.createModel("foo");

  await t.test("joins the chunks in order, and answers with what is stored", async (t) => {
    const before = BigInt(Date.now()) * 1_000_000n;
    const info = await client.createVersion(
      { model_id: "foo", archived: true, version_number: 77, user_data: { k: "v" } },
      "chunk_1",
      "",
      "chunk_2",
    );
    const { creation_timestamp: stamp, ...rest } = info;
    t.strictSame(rest, {
      model_id: "foo",
      version_number: 1,
      archived: true,
      data_hash: "jY0g3VkUK62ILPr2JuaW5g7uQi0EcJVZJu8IYp3yfhI=",
      data_size: "14",
      user_data: { k: "v" },
    });
    t.ok(
      BigInt(stamp) >= before && BigInt(stamp) <= BigInt(Date.now() + 1) * 1_000_000n,
      "when the upload was complete",
    );
    t.equal((await client.data("foo", 1)).toString(), "chunk_1chunk_2");
  });

  await t.test("takes no data at all, with and without a body", async (t) => {
    for (const messages of [[header({ model_id: "foo" })], [header({ model_id: "foo", archived: true }), body("")]]) {
      const info = await client.uploadMessages(messages);
      t.equal(info.data_hash, "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
      t.equal(info.data_size, "0");
    }
  });

  await t.test("takes the right hash, and timestamps as they are", async (t) => {
    const data_hash = createHash("sha256").update("x").digest("base64");
    const info = await client.createVersion({ model_id: "foo", data_hash, creation_timestamp: "5" }, "x");
    t.match(info, { data_hash, creation_timestamp: "5" });
  });

  await t.test("numbers transient and archived versions in one sequence", async (t) => {
    const numbers: number[] = [];
    for (const archived of [false, true, true, false]) {
      numbers.push((await client.createVersion({ model_id: "foo", archived }, "x")).version_number);
    }
    t.strictSame(numbers, [5, 6, 7, 8]);
  });

  await t.test("takes a message of exactly 4 MiB", async (t) => {
    const data = Buffer.alloc(2 ** 22 - 10, 7);
    const info = await client.createVersion({ model_id: "foo", archived: true }, data);
    t.equal(info.data_size, `${data.length}`);
    t.ok((await client.data("foo", info.version_number)).equals(data));
  });

  await t.test("takes compressed messages", async (t) => {
    const { path } = { path: "/cogmentAPI.ModelRegistrySP/" };
    t.ok(path);
    const { RegistryClient } = await import("../../../helpers/registry-client.js");
    const [host, port] = client.client.getChannel().getTarget().replace("dns:", "").split(":");
    const gzipping = new RegistryClient(
      { host: host!, port: Number(port) },
      { "grpc.default_compression_algorithm": 2 },
    );
    t.teardown(() => gzipping.close());
    const info = await gzipping.createVersion({ model_id: "foo", archived: true }, Buffer.alloc(100_000), "end");
    t.equal((await client.data("foo", info.version_number)).length, 100_003);
  });
});

t.test("sixty-four versions made at once get sixty-four numbers", async (t) => {
  const { client } = await startRegistry(t);
  await client.createModel("foo");
  const infos = await Promise.all(
    Array.from({ length: 64 }, (_, i) => client.createVersion({ model_id: "foo", archived: i % 8 === 0 }, `${i}`)),
  );
  t.strictSame(
    infos.map(({ version_number: number }) => number).sort((a, b) => a - b),
    Array.from({ length: 64 }, (_, i) => i + 1),
  );
  await Promise.all(
    infos.map(async ({ version_number: number }, i) => t.equal((await client.data("foo", number)).toString(), `${i}`)),
  );
});

t.test("an upload whose client cancels leaves nothing, and uses no number", async (t) => {
  const { client, server } = await startRegistry(t);
  await client.createModel("foo");
  const { call, reply } = client.openUpload();
  call.write(header({ model_id: "foo", data_size: "6", archived: true }));
  call.write(body("abc"));
  while (server.open.calls === 0) await new Promise(setImmediate);
  call.cancel();
  await t.rejects(reply, { code: "CANCELLED" });
  while (server.open.calls > 0) await new Promise(setImmediate);
  t.equal((await client.createVersion({ model_id: "foo" }, "x")).version_number, 1);
});

t.test("nothing of a version is seen before its reply", async (t) => {
  const { client, server } = await startRegistry(t);
  await client.createModel("foo");
  const { call, reply } = client.openUpload();
  call.write(header({ model_id: "foo", data_size: "6", archived: true }));
  call.write(body("abc"));
  while (server.open.calls === 0) await new Promise(setImmediate);
  t.same((await client.call("RetrieveVersionInfos", { model_id: "foo" })).version_infos, []);
  t.equal((await client.ending("RetrieveVersionInfos", { model_id: "foo", version_numbers: [1] })).code, "NOT_FOUND");
  call.write(body("def"));
  call.end();
  t.equal((await reply).version_number, 1);
  t.equal((await client.data("foo", 1)).toString(), "abcdef");
});
