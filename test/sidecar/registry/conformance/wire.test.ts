import t from "tap";
import { bytes, type Field, fieldsOf, fixed64, int, varint } from "../../../helpers/protobuf.js";
import { startRegistry } from "../grpc-rig.js";

const PATH = "/cogmentAPI.ModelRegistrySP/";
const HASH = "jY0g3VkUK62ILPr2JuaW5g7uQi0EcJVZJu8IYp3yfhI=";

/** The fields of a message, texts as text and nested messages by the names of their fields' numbers. */
function plain(message: Buffer, nested: readonly number[] = []): [number, unknown][] {
  return fieldsOf(message).map(({ field, value }: Field) => [
    field,
    typeof value === "bigint" ? value : nested.includes(field) ? plain(value) : value.toString(),
  ]);
}

t.test("every message has Cogment's field numbers and wire types", async (t) => {
  const { client } = await startRegistry(t);
  const ask = async (method: string, ...messages: Buffer[]) => {
    const { replies, code } = await client.raw(PATH + method, messages);
    t.equal(code, "OK", method);
    return replies;
  };

  await t.test("CreateOrUpdateModel: model_info 1 of model_id 1 and user_data 2; its reply is empty", async (t) => {
    const modelInfo = bytes(1, bytes(1, "foo"), bytes(2, bytes(1, "k"), bytes(2, "v")));
    t.strictSame(await ask("CreateOrUpdateModel", modelInfo), [Buffer.alloc(0)]);
  });

  await t.test("RetrieveModels: model_ids 1, models_count 3, model_handle 4; model_infos 1, handle 2", async (t) => {
    const [reply] = await ask("RetrieveModels", Buffer.concat([bytes(1, "foo"), int(3, 1), bytes(4, "0")]));
    const [info, handle] = fieldsOf(reply!);
    t.strictSame(plain(info!.value as Buffer, [2]), [
      [1, "foo"],
      [
        2,
        [
          [1, "k"],
          [2, "v"],
        ],
      ],
    ]);
    t.strictSame([info!.field, handle!.field, handle!.value.toString()], [1, 2, "1"]);
  });

  await t.test("RetrieveModels has no field 2: what comes there is ignored", async (t) => {
    const [reply] = await ask("RetrieveModels", Buffer.concat([bytes(2, "nothing"), int(3, 1)]));
    t.equal(fieldsOf(reply!).length, 2);
  });

  await t.test("CreateVersion: header 1 with version_info 1, then body 2 with data_chunk 1", async (t) => {
    const versionInfo = Buffer.concat([
      bytes(1, "foo"),
      int(2, 77),
      fixed64(3, 1_633_119_005_107_454_620n),
      int(4, 1),
      bytes(5, HASH),
      fixed64(6, 14n),
      bytes(7, bytes(1, "a"), bytes(2, "b")),
    ]);
    const [reply] = await ask(
      "CreateVersion",
      bytes(1, bytes(1, versionInfo)),
      bytes(2, bytes(1, "chunk_1")),
      bytes(2, bytes(1, "chunk_2")),
    );
    const [info] = fieldsOf(reply!);
    t.equal(info!.field, 1);
    const fields = fieldsOf(info!.value as Buffer);
    t.strictSame(
      fields.map(({ field, type }) => [field, type]),
      [
        [1, 2],
        [2, 0],
        [3, 1],
        [4, 0],
        [5, 2],
        [6, 1],
        [7, 2],
      ],
    );
    t.strictSame(
      fields.slice(0, 6).map(({ value }) => (typeof value === "bigint" ? value : value.toString())),
      ["foo", 1n, 1_633_119_005_107_454_620n, 1n, HASH, 14n],
    );
    t.strictSame(plain(fields[6]!.value as Buffer), [
      [1, "a"],
      [2, "b"],
    ]);
  });

  await t.test(
    "RetrieveVersionInfos: model_id 1, version_numbers 2, count 3, handle 4; infos 1, handle 2",
    async (t) => {
      const [reply] = await ask("RetrieveVersionInfos", Buffer.concat([bytes(1, "foo"), int(3, 5), bytes(4, "1")]));
      const [info, handle] = fieldsOf(reply!);
      t.equal(fieldsOf(info!.value as Buffer)[1]!.value, 1n);
      t.strictSame([info!.field, handle!.field, handle!.value.toString()], [1, 2, "2"]);
    },
  );

  await t.test("version_numbers are read packed, and one by one", async (t) => {
    const packed = Buffer.concat([bytes(1, "foo"), bytes(2, varint(1), varint(-1))]);
    const unpacked = Buffer.concat([bytes(1, "foo"), int(2, 1), int(2, -1)]);
    const [[one], [two]] = [await ask("RetrieveVersionInfos", packed), await ask("RetrieveVersionInfos", unpacked)];
    t.equal(fieldsOf(one!).filter(({ field }) => field === 1).length, 2);
    t.same(two, one);
  });

  await t.test("RetrieveVersionData: model_id 1, version_number 2, negatives in ten bytes; data_chunk 1", async (t) => {
    t.equal(varint(-1).length, 10);
    const [reply] = await ask("RetrieveVersionData", Buffer.concat([bytes(1, "foo"), int(2, -1)]));
    t.strictSame(plain(reply!), [[1, "chunk_1chunk_2"]]);
  });

  await t.test("DeleteModel: model_id 1; its reply is empty", async (t) => {
    t.strictSame(await ask("DeleteModel", bytes(1, "foo")), [Buffer.alloc(0)]);
  });

  await t.test("Version: an empty list", async (t) => {
    t.strictSame(await ask("Version", Buffer.alloc(0)), [Buffer.alloc(0)]);
  });

  await t.test("Status: names 1; statuses 1 as a map", async (t) => {
    const [reply] = await ask("Status", bytes(1, "overall_load"));
    t.strictSame(plain(reply!, [1]), [
      [
        1,
        [
          [1, "overall_load"],
          [2, "0"],
        ],
      ],
    ]);
  });
});

t.test("VersionUpdate: model_id 1; version_info 1", async (t) => {
  const { client } = await startRegistry(t);
  await client.createModel("foo");
  await client.createVersion({ model_id: "foo" }, "x");
  const asked = client.raw(`${PATH}VersionUpdate`, [bytes(1, "foo")]);
  await client.createModel("bar");
  await client.call("DeleteModel", { model_id: "foo" });
  const { replies, code } = await asked;
  t.equal(code, "NOT_FOUND");
  const [info] = fieldsOf(replies[0]!);
  t.equal(info!.field, 1);
  t.equal(fieldsOf(info!.value as Buffer)[1]!.value, 1n);
});

t.test("timestamps keep all their 64 bits", async (t) => {
  const { client } = await startRegistry(t);
  await client.createModel("foo");
  for (const stamp of [1n, 2n ** 53n + 1n, 1_633_119_005_107_454_620n, 2n ** 63n, 2n ** 64n - 1n]) {
    const info = await client.createVersion({ model_id: "foo", archived: true, creation_timestamp: `${stamp}` }, "x");
    t.equal(info.creation_timestamp, `${stamp}`);
    const { version_infos: infos } = await client.call("RetrieveVersionInfos", {
      model_id: "foo",
      version_numbers: [-1],
    });
    t.equal(infos[0].creation_timestamp, `${stamp}`);
  }
});

t.test("user data of every kind comes back as it was sent", async (t) => {
  const { client } = await startRegistry(t);
  const userData = Object.fromEntries([
    ["", "no name"],
    ["no value", ""],
    ["1", "digits"],
    ["__proto__", "a name that objects have"],
    ["constructor", "another"],
    ["ключ ☃ 😀", "line\nbreak \0 end"],
  ]);
  const entries = Object.entries(userData).map(([key, value]) => bytes(2, bytes(1, key), bytes(2, value)));
  await client.raw(`${PATH}CreateOrUpdateModel`, [bytes(1, bytes(1, "foo"), ...entries)]);
  const { replies } = await client.raw(`${PATH}RetrieveModels`, [Buffer.alloc(0)]);
  const sent = fieldsOf(Buffer.concat(entries)).map(({ value }) => plain(value as Buffer));
  const back = fieldsOf(fieldsOf(replies[0]!)[0]!.value as Buffer)
    .slice(1)
    .map(({ value }) => plain(value as Buffer));
  t.same(new Set(back.map((pair) => JSON.stringify(pair))), new Set(sent.map((pair) => JSON.stringify(pair))));
});

t.test("texts that are no UTF-8 are refused, and touch nothing", async (t) => {
  const { client } = await startRegistry(t);
  for (const id of [
    Buffer.from([0xff]),
    Buffer.from([0xed, 0xa0, 0x80]),
    Buffer.from([0xc0, 0xaf]),
    Buffer.from([0x66, 0xc3]),
  ]) {
    const { code } = await client.raw(`${PATH}CreateOrUpdateModel`, [bytes(1, bytes(1, id))]);
    t.equal(code, "INVALID_ARGUMENT", id.toString("hex"));
    const { code: asked } = await client.raw(`${PATH}DeleteModel`, [bytes(1, id)]);
    t.equal(asked, "NOT_FOUND", id.toString("hex"));
  }
  t.strictSame((await client.call("RetrieveModels")).model_infos, []);
});

t.test("only the package cogmentAPI is served", async (t) => {
  const { client } = await startRegistry(t);
  t.equal((await client.raw("/cogment.ModelRegistrySP/RetrieveModels", [Buffer.alloc(0)])).code, "UNIMPLEMENTED");
  t.equal((await client.raw("/cogmentAPI.ModelRegistrySP/Nothing", [Buffer.alloc(0)])).code, "UNIMPLEMENTED");
});
