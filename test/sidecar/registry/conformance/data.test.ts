import t from "tap";
import { startRegistry } from "../grpc-rig.js";

t.test("RetrieveVersionData", async (t) => {
  const { client } = await startRegistry(t, { chunkBytes: 10 });
  await client.createModel("foo");
  const data = "0123456789abcdefghij";
  const sizes = async (number: number) => (await client.pieces("foo", number)).map(({ length }) => length);

  const rows: [string, string, boolean, number[]][] = [
    ["pieces of exactly the size set, the last one shorter", `${data}end`, true, [10, 10, 3]],
    ["the last one whole where it fits", data, true, [10, 10]],
    ["the same of a transient version", `${data}end`, false, [10, 10, 3]],
    ["less than a piece in one", "abc", true, [3]],
    ["no data in one empty piece", "", true, [0]],
    ["no data of a transient version in one empty piece", "", false, [0]],
  ];
  for (const [name, content, archived, expected] of rows) {
    await t.test(name, async (t) => {
      const { version_number: number } = await client.createVersion({ model_id: "foo", archived }, content);
      t.strictSame(await sizes(number), expected);
      t.equal((await client.data("foo", number)).toString(), content);
      t.equal((await client.data("foo", -1)).toString(), content);
    });
  }
});

t.test("megabytes come back in pieces of two, as they were sent in pieces of three", async (t) => {
  const { client } = await startRegistry(t);
  await client.createModel("foo");
  const data = Buffer.alloc(7_000_001, Buffer.from("a pattern that does not fit a piece"));
  const chunks = Array.from({ length: 3 }, (_, i) => data.subarray(i * 3_000_000, (i + 1) * 3_000_000));
  for (const archived of [true, false]) {
    const { version_number: number } = await client.createVersion({ model_id: "foo", archived }, ...chunks);
    const pieces = await client.pieces("foo", number);
    t.strictSame(
      pieces.map(({ length }) => length),
      [2_097_152, 2_097_152, 2_097_152, 708_545],
    );
    t.ok(Buffer.concat(pieces).equals(data));
  }
});

t.test("a download goes on, whole, while its model is deleted", async (t) => {
  const { client } = await startRegistry(t, { chunkBytes: 65_536 });
  await client.createModel("foo");
  const data = Buffer.alloc(8 * 2 ** 20, 5);
  for (const archived of [true, false]) {
    await client.createModel("foo");
    const quarters = [0, 1, 2, 3].map((i) => data.subarray((i * data.length) / 4, ((i + 1) * data.length) / 4));
    await client.createVersion({ model_id: "foo", archived }, ...quarters);
    let received = 0;
    for await (const { data_chunk: chunk } of client.stream("RetrieveVersionData", {
      model_id: "foo",
      version_number: 1,
    })) {
      if (received === 0) await client.call("DeleteModel", { model_id: "foo" });
      received += chunk.length;
    }
    t.equal(received, data.length);
  }
});

t.test("a client that cancels a download ends it at the server", async (t) => {
  const { client, server } = await startRegistry(t, { chunkBytes: 65_536 });
  await client.createModel("foo");
  const data = Buffer.alloc(4 * 2 ** 20 - 100);
  await client.createVersion({ model_id: "foo", archived: true }, data, data, data, data);
  const call = client.openStream("RetrieveVersionData", { model_id: "foo", version_number: 1 });
  call.on("error", () => {});
  await new Promise((resolve) => call.once("data", resolve));
  call.pause();
  t.equal(server.open.calls, 1);
  call.cancel();
  while (server.open.calls > 0) await new Promise(setImmediate);
});
