import t from "tap";
import type { RegistryClient } from "../../../helpers/registry-client.js";
import { startRegistry } from "../grpc-rig.js";

async function numbersOf(client: RegistryClient, request: object) {
  const { version_infos: infos, next_version_handle: next } = await client.call("RetrieveVersionInfos", {
    model_id: "foo",
    ...request,
  });
  return { numbers: infos.map(({ version_number: number }: { version_number: number }) => number), next };
}

async function make(client: RegistryClient, count: number, archived = true): Promise<void> {
  for (let i = 0; i < count; i++) await client.createVersion({ model_id: "foo", archived }, `data ${i}`);
}

t.test("RetrieveVersionInfos of a model without versions", async (t) => {
  const { client } = await startRegistry(t);
  await client.createModel("foo");
  const rows: [string, object, string][] = [
    ["no handle", {}, "0"],
    ["handle 7", { version_handle: "7" }, "7"],
    ["with a count", { versions_count: 10 }, "0"],
  ];
  for (const [name, request, next] of rows) {
    await t.test(name, async (t) => t.strictSame(await numbersOf(client, request), { numbers: [], next }));
  }
});

t.test("RetrieveVersionInfos of all", async (t) => {
  const { client } = await startRegistry(t);
  await client.createModel("foo");
  await make(client, 10);
  const to = (first: number, last: number) => Array.from({ length: last - first + 1 }, (_, i) => first + i);
  const rows: [string, object, number[], string][] = [
    ["no limit", {}, to(1, 10), "11"],
    ["count 5", { versions_count: 5 }, to(1, 5), "6"],
    ["count 5 from handle 6", { versions_count: 5, version_handle: "6" }, to(6, 10), "11"],
    ["count 5 from handle 7", { versions_count: 5, version_handle: "7" }, to(7, 10), "11"],
    ["count 5 from handle 11", { versions_count: 5, version_handle: "11" }, [], "11"],
    ["handle 0", { version_handle: "0" }, to(1, 10), "11"],
    ["handle 1", { version_handle: "1" }, to(1, 10), "11"],
    ["handle 010", { version_handle: "010" }, [10], "11"],
    ["handle beyond the end", { version_handle: "500" }, [], "500"],
    ["handle of 2^63", { version_handle: "9223372036854775808" }, [], "9223372036854775808"],
    ["handle of 2^64-1", { version_handle: "18446744073709551615" }, [], "18446744073709551615"],
    ["the largest count", { versions_count: 4_294_967_295 }, to(1, 10), "11"],
  ];
  for (const [name, request, numbers, next] of rows) {
    await t.test(name, async (t) => t.strictSame(await numbersOf(client, request), { numbers, next }));
  }

  for (const handle of ["-1", "+1", "0x1", "abc", "1 ", "18446744073709551616", "1e3"]) {
    await t.test(`handle ${handle}: INVALID_ARGUMENT, before anything else`, async (t) => {
      t.strictSame(await client.ending("RetrieveVersionInfos", { model_id: "nothing", version_handle: handle }), {
        code: "INVALID_ARGUMENT",
        details: `Invalid value for \`version_handle\` ("${handle}") only empty or values provided by a previous call should be used`,
      });
    });
  }

  await t.test("an unknown model: NOT_FOUND", async (t) => {
    for (const request of [{}, { version_handle: "18446744073709551615" }]) {
      t.strictSame(await client.ending("RetrieveVersionInfos", { model_id: "bar", ...request }), {
        code: "NOT_FOUND",
        details: 'no model "bar" found',
      });
    }
  });
});

t.test("RetrieveVersionInfos of chosen numbers", async (t) => {
  const { client } = await startRegistry(t);
  await client.createModel("foo");
  await make(client, 10);
  const rows: [string, object, number[], string][] = [
    ["[1]", { version_numbers: [1] }, [1], "2"],
    ["[-1] of ten", { version_numbers: [-1] }, [10], "11"],
    ["[-10]", { version_numbers: [-10] }, [1], "2"],
    ["in the order asked for, repeated ones repeated", { version_numbers: [3, 1, -1, 3] }, [3, 1, 10, 3], "4"],
    ["the handle is an index: [5, 1] from 1", { version_numbers: [5, 1], version_handle: "1" }, [1], "2"],
    ["[1] from handle 1, its length", { version_numbers: [1], version_handle: "1" }, [], "1"],
    ["[1] from handle 2, as its first page answered", { version_numbers: [1], version_handle: "2" }, [], "2"],
    ["[1, 2, 1] count 2", { version_numbers: [1, 2, 1], versions_count: 2 }, [1, 2], "3"],
    ["[1] count 5", { version_numbers: [1], versions_count: 5 }, [1], "2"],
    ["[1, 2, 3] count 4", { version_numbers: [1, 2, 3], versions_count: 4 }, [1, 2, 3], "4"],
  ];
  for (const [name, request, numbers, next] of rows) {
    await t.test(name, async (t) => t.strictSame(await numbersOf(client, request), { numbers, next }));
  }

  await t.test("any one that is not there fails the whole call", async (t) => {
    t.strictSame(await client.ending("RetrieveVersionInfos", { model_id: "foo", version_numbers: [1, 11, 2] }), {
      code: "NOT_FOUND",
      details: 'no version "11" for model "foo" found',
    });
  });
});

t.test("which version a number means", async (t) => {
  const { client } = await startRegistry(t);
  await client.createModel("foo");
  await client.createModel("none");
  await make(client, 3);
  const noneYet = (id: string) => `model "${id}" doesn't have any version yet`;
  const noVersion = (number: string, id = "foo") => `no version "${number}" for model "${id}" found`;
  const rows: [string, number, string, string][] = [
    ["foo", 0, noneYet("foo"), noneYet("foo")],
    ["bar", 0, noneYet("bar"), noneYet("bar")],
    ["none", 0, noneYet("none"), noneYet("none")],
    ["none", -1, noVersion("n-1", "none"), noVersion("n-1", "none")],
    ["foo", -4, noVersion("n-4"), noVersion("n-4")],
    ["foo", -5, noVersion("n-5"), noVersion("n-5")],
    ["foo", -6, noVersion("n-6"), noVersion("n-6")],
    ["foo", -2_147_483_648, noVersion("n-2147483648"), noVersion("n-2147483648")],
    ["bar", -1, 'no model "bar" found', 'no model "bar" found'],
    ["bar", 1, noVersion("1", "bar"), noVersion("1", "bar")],
    ["foo", 4, noVersion("4"), noVersion("4")],
    ["foo", 2_147_483_647, noVersion("2147483647"), noVersion("2147483647")],
    ["..", 1, noVersion("1", ".."), noVersion("1", "..")],
    ["", 1, noVersion("1", ""), noVersion("1", "")],
    ["a/b", -1, 'no model "a/b" found', 'no model "a/b" found'],
    ["foo\0", -1, 'no model "foo\\u0000" found', 'no model "foo\\u0000" found'],
  ];
  for (const [id, number, infoWords, dataWords] of rows) {
    await t.test(`${number} of ${JSON.stringify(id)}: NOT_FOUND`, async (t) => {
      t.strictSame(await client.ending("RetrieveVersionInfos", { model_id: id, version_numbers: [number] }), {
        code: "NOT_FOUND",
        details: infoWords,
      });
      await t.rejects(client.data(id, number), { code: "NOT_FOUND", details: dataWords });
    });
  }

  for (const [number, meant] of [
    [-1, 3],
    [-2, 2],
    [-3, 1],
    [2, 2],
  ] as const) {
    await t.test(`${number} of three is ${meant}`, async (t) => {
      t.strictSame((await numbersOf(client, { version_numbers: [number] })).numbers, [meant]);
      t.equal((await client.data("foo", number)).toString(), `data ${meant - 1}`);
    });
  }
});

t.test("a listing in pages of ten is full while there is more", async (t) => {
  const { client } = await startRegistry(t);
  await client.createModel("foo");
  await make(client, 23, false);
  const sizes: number[] = [];
  for (let handle = ""; ; ) {
    const { numbers, next } = await numbersOf(client, { versions_count: 10, version_handle: handle });
    sizes.push(numbers.length);
    handle = next;
    if (numbers.length < 10) break;
  }
  t.strictSame(sizes, [10, 10, 3]);
});
