import t from "tap";
import { bytes } from "../../../helpers/protobuf.js";
import type { RegistryClient } from "../../../helpers/registry-client.js";
import { startRegistry } from "../grpc-rig.js";

const HANDLE_WORDS = (field: string, value: string) =>
  `Invalid value for \`${field}\` (${value}) only empty or values provided by a previous call should be used`;

async function idsOf(client: RegistryClient, request: object) {
  const { model_infos: infos, next_model_handle: next } = await client.call("RetrieveModels", request);
  return { ids: infos.map(({ model_id: id }: { model_id: string }) => id), next };
}

t.test("CreateOrUpdateModel", async (t) => {
  const { client } = await startRegistry(t);

  await t.test("creates, with an empty reply", async (t) => {
    t.strictSame(await client.createModel("foo", { a: "1", b: "2" }), {});
    const { model_infos: infos } = await client.call("RetrieveModels");
    t.strictSame(infos, [{ model_id: "foo", user_data: { a: "1", b: "2" } }]);
  });

  await t.test("replaces all the user data, and leaves the versions", async (t) => {
    await client.createVersion({ model_id: "foo", archived: true }, "x");
    t.strictSame(await client.createModel("foo", { c: "3" }), {});
    const { model_infos: infos } = await client.call("RetrieveModels");
    t.strictSame(infos, [{ model_id: "foo", user_data: { c: "3" } }]);
    t.equal((await client.data("foo", 1)).toString(), "x");
  });

  await t.test("without model_info: INVALID_ARGUMENT, and the next client is served", async (t) => {
    t.strictSame(await client.ending("CreateOrUpdateModel"), {
      code: "INVALID_ARGUMENT",
      details: "the request has no model_info",
    });
    t.same((await idsOf(client, {})).ids, ["foo"]);
  });

  for (const id of ["", ".", "..", "../x", "a/b", "/etc", "a\\b", "a\0b", "a\nb", "x".repeat(256)]) {
    await t.test(
      `refuses the id ${JSON.stringify(id.slice(0, 10))} with INVALID_ARGUMENT, and makes nothing`,
      async (t) => {
        const { code, details } = await client.ending("CreateOrUpdateModel", { model_info: { model_id: id } });
        t.equal(code, "INVALID_ARGUMENT");
        t.match(details, "cannot be a model's id");
        t.ok(details.length < 200);
        t.same((await idsOf(client, {})).ids, ["foo"]);
      },
    );
  }

  await t.test("takes ids that the original stumbled over", async (t) => {
    const ids = ["123", "resnet-v2", "é", "lost+found", "名前", "a b", "..."];
    for (const id of ids) await client.createModel(id);
    for (const id of ids) t.same((await idsOf(client, { model_ids: [id] })).ids, [id]);
  });

  await t.test("refuses user data beyond 256 KiB", async (t) => {
    const { code } = await client.ending("CreateOrUpdateModel", {
      model_info: { model_id: "big", user_data: { k: "v".repeat(256 * 1024 + 1) } },
    });
    t.equal(code, "INVALID_ARGUMENT");
    t.equal((await client.ending("RetrieveModels", { model_ids: ["big"] })).code, "NOT_FOUND");
  });
});

t.test("DeleteModel", async (t) => {
  const { client } = await startRegistry(t);
  await client.createModel("foo");
  await client.createVersion({ model_id: "foo", archived: true }, "archived");
  await client.createVersion({ model_id: "foo" }, "transient");

  for (const id of ["bar", "", ".", "..", "../..", "foo/", "foo\0", "/"]) {
    await t.test(`of ${JSON.stringify(id)}, which is not there: NOT_FOUND, and nothing goes`, async (t) => {
      t.strictSame(await client.ending("DeleteModel", { model_id: id }), {
        code: "NOT_FOUND",
        details: `no model ${JSON.stringify(id)} found`,
      });
      t.equal((await client.data("foo", 1)).toString(), "archived");
    });
  }

  await t.test("removes it with all its versions, with an empty reply", async (t) => {
    t.strictSame(await client.call("DeleteModel", { model_id: "foo" }), {});
    t.same((await idsOf(client, {})).ids, []);
    for (const number of [1, 2]) {
      const { code } = await client.ending("RetrieveVersionInfos", { model_id: "foo", version_numbers: [number] });
      t.equal(code, "NOT_FOUND");
    }
  });

  await t.test("a model made again is a new one, and begins at 1", async (t) => {
    await client.createModel("foo");
    t.equal((await client.createVersion({ model_id: "foo" }, "new")).version_number, 1);
  });
});

t.test("RetrieveModels of all", async (t) => {
  const { client } = await startRegistry(t);

  await t.test("registry empty: none, handle 0", async (t) => {
    t.strictSame(await idsOf(client, {}), { ids: [], next: "0" });
  });

  await client.createModel("b");
  await client.createModel("a");

  await t.test("two models without a limit: both, handle 2", async (t) => {
    t.strictSame(await idsOf(client, {}), { ids: ["a", "b"], next: "2" });
  });

  await client.createModel("C");

  const rows: [string, object, string[], string][] = [
    ["in byte order, capitals first", {}, ["C", "a", "b"], "3"],
    ["count 2", { models_count: 2 }, ["C", "a"], "2"],
    ["count 2 from handle 2", { models_count: 2, model_handle: "2" }, ["b"], "3"],
    ["handle past the end", { models_count: 2, model_handle: "10" }, [], "10"],
    ["handle +1", { model_handle: "+1" }, ["a", "b"], "3"],
    ["handle 007", { model_handle: "007" }, [], "7"],
    ["count above what there is", { models_count: 4_294_967_295 }, ["C", "a", "b"], "3"],
    ["handle at the end", { models_count: 10, model_handle: "3" }, [], "3"],
    ["the largest handle", { model_handle: "9223372036854775807" }, [], "9223372036854775807"],
  ];
  for (const [name, request, ids, next] of rows) {
    await t.test(name, async (t) => t.strictSame(await idsOf(client, request), { ids, next }));
  }

  for (const handle of ["-1", "abc", "1.5", "0x1", " 1", "1_0", "9223372036854775808", "9".repeat(1_000), "١"]) {
    await t.test(`handle ${handle.slice(0, 20)}: INVALID_ARGUMENT, before anything else`, async (t) => {
      const { code, details } = await client.ending("RetrieveModels", { model_handle: handle, model_ids: ["nothing"] });
      t.equal(code, "INVALID_ARGUMENT");
      if (handle.length < 80) t.equal(details, HANDLE_WORDS("model_handle", JSON.stringify(handle)));
    });
  }
});

t.test("RetrieveModels of chosen ones", async (t) => {
  const { client } = await startRegistry(t);
  for (const id of ["a", "b", "c"]) await client.createModel(id);

  const rows: [string, object, string[], string][] = [
    ["no count", { model_ids: ["a"] }, ["a"], "1"],
    ["in the order asked for, repeated ones repeated", { model_ids: ["c", "a", "c"] }, ["c", "a", "c"], "3"],
    ["handle at the list's length", { model_ids: ["a"], model_handle: "1" }, [], "1"],
    ["handle beyond the list", { model_ids: ["a"], model_handle: "2" }, [], "2"],
    ["count above what remains", { model_ids: ["a"], models_count: 2 }, ["a"], "1"],
    ["three ids, count 4", { model_ids: ["a", "b", "c"], models_count: 4 }, ["a", "b", "c"], "3"],
    ["second page", { model_ids: ["a", "b", "c"], models_count: 2, model_handle: "2" }, ["c"], "3"],
  ];
  for (const [name, request, ids, next] of rows) {
    await t.test(name, async (t) => t.strictSame(await idsOf(client, request), { ids, next }));
  }

  await t.test("one unknown id fails the whole call", async (t) => {
    t.strictSame(await client.ending("RetrieveModels", { model_ids: ["a", "no\u0007pe", "b"] }), {
      code: "NOT_FOUND",
      details: 'no model "no\\u0007pe" found',
    });
  });

  await t.test("a handle that is negative: INVALID_ARGUMENT", async (t) => {
    t.equal((await client.ending("RetrieveModels", { model_ids: ["a"], model_handle: "-1" })).code, "INVALID_ARGUMENT");
  });

  await t.test("an id of a megabyte is cut in the words", async (t) => {
    const { code, details } = await client.ending("RetrieveModels", { model_ids: ["x".repeat(2 ** 20)] });
    t.equal(code, "NOT_FOUND");
    t.ok(details.length < 200);
  });
});

t.test("half of a character in an id does no harm", async (t) => {
  const { client } = await startRegistry(t);
  const id = Buffer.from([0xed, 0xa0, 0x80]);
  t.equal((await client.raw("/cogmentAPI.ModelRegistrySP/VersionUpdate", [bytes(1, id)])).code, "INVALID_ARGUMENT");
  t.same((await idsOf(client, {})).ids, []);
});
