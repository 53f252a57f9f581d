/** What the original does wrong, each defect by its number in our notes on it: what is answered instead. */
import { chmodSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import type { Teardown } from "../../../helpers/gazetteer.js";
import type { RegistryClient } from "../../../helpers/registry-client.js";
import { type RigOptions, startRegistry } from "../grpc-rig.js";
import { filesIn } from "../local-rig.js";

async function make(client: RegistryClient, archived: readonly boolean[], id = "foo"): Promise<number[]> {
  const numbers: number[] = [];
  for (const each of archived) {
    const content = `${id} ${numbers.length + 1}`;
    numbers.push((await client.createVersion({ model_id: id, archived: each }, content)).version_number);
  }
  return numbers;
}

async function listed(client: RegistryClient, request: object = {}): Promise<number[]> {
  const { version_infos: infos } = await client.call("RetrieveVersionInfos", { model_id: "foo", ...request });
  return infos.map(({ version_number: number }: { version_number: number }) => number);
}

const fill = (count: number, archived: boolean) => Array.from({ length: count }, () => archived);

/** The same registry, started again. */
async function restarted(t: Teardown, rig: Awaited<ReturnType<typeof startRegistry>>, options: RigOptions = {}) {
  await rig.close();
  return startRegistry(t, { ...options, dataDir: rig.dataDir });
}

t.test("W1: what is read after a restart changes nothing about the newest version", async (t) => {
  const first = await startRegistry(t);
  await first.client.createModel("foo");
  await make(first.client, fill(10, true));
  const { client } = await restarted(t, first);
  t.strictSame(await listed(client, { versions_count: 3 }), [1, 2, 3]);
  t.strictSame(await listed(client, { versions_count: 3, version_handle: "4" }), [4, 5, 6]);
  t.equal((await client.data("foo", 1)).toString(), "foo 1");
  t.strictSame(await listed(client, { version_numbers: [-1] }), [10]);
  t.strictSame(await make(client, [true]), [11]);
  t.equal((await client.data("foo", 4)).toString(), "foo 4");
});

t.test("W2: ids that look like a version's file, or have no letter, are ids like any other", async (t) => {
  const first = await startRegistry(t);
  for (const id of ["resnet-v2", "123", "é"]) {
    await first.client.createModel(id);
    await make(first.client, [true, true], id);
  }
  const { client } = await restarted(t, first);
  for (const id of ["resnet-v2", "123", "é"]) {
    t.equal((await client.data(id, -1)).toString(), `${id} 2`);
    t.strictSame(await make(client, [true], id), [3]);
    t.equal((await client.data(id, 1)).toString(), `${id} 1`);
  }
  t.equal((await client.call("RetrieveModels")).model_infos.length, 3);
});

t.test("W5: versions made at once have numbers of their own", async (t) => {
  const { client } = await startRegistry(t);
  await client.createModel("foo");
  const made = await Promise.all(fill(64, true).map(() => client.createVersion({ model_id: "foo" }, "x")));
  t.equal(new Set(made.map(({ version_number: number }) => number)).size, 64);
});

t.test("W6: bytes that were damaged on the disk are never served as if they were whole", async (t) => {
  const rig = await startRegistry(t);
  await rig.client.createModel("foo");
  await make(rig.client, [true]);
  const [file] = filesIn(rig.archiveDir).filter((name) => name.endsWith(".data"));
  chmodSync(join(rig.archiveDir, file!), 0o644);
  writeFileSync(join(rig.archiveDir, file!), "fOO 1");
  const { code, details } = await rig.client.data("foo", 1).then(
    () => ({ code: "OK", details: "" }),
    (error) => error,
  );
  t.equal(code, "DATA_LOSS");
  t.notMatch(details, "/");
  writeFileSync(join(rig.archiveDir, file!), "foo");
  await t.rejects(rig.client.data("foo", 1), { code: "DATA_LOSS" });
});

t.test("W7: one below the oldest is NOT_FOUND, as is all below it", async (t) => {
  const { client } = await startRegistry(t);
  await client.createModel("foo");
  await make(client, [true, true, false]);
  for (const number of [-4, -5, -6, -7]) {
    t.equal(
      (await client.ending("RetrieveVersionInfos", { model_id: "foo", version_numbers: [number] })).code,
      "NOT_FOUND",
    );
    await t.rejects(client.data("foo", number), { code: "NOT_FOUND" });
  }
});

t.test("W10: whatever else lies in the archive breaks no listing", async (t) => {
  const rig = await startRegistry(t);
  await rig.client.createModel("foo");
  await make(rig.client, [true]);
  mkdirSync(join(rig.archiveDir, "lost+found"));
  writeFileSync(join(rig.archiveDir, "notes.yaml"), ": {{{");
  t.equal((await rig.client.call("RetrieveModels")).model_infos.length, 1);
  t.strictSame(await listed(rig.client), [1]);
  const { client } = await restarted(t, rig);
  t.equal((await client.call("RetrieveModels")).model_infos.length, 1);
  t.equal((await client.data("foo", 1)).toString(), "foo 1");
});

t.test("W12: archived versions, made or read, push out no transient one", async (t) => {
  const { client } = await startRegistry(t, { settings: { cacheMaxItems: 2 } });
  await client.createModel("foo");
  await make(client, [false, false, ...fill(8, true)]);
  for (let number = 3; number <= 10; number++) await client.data("foo", number);
  t.equal((await client.data("foo", 1)).toString(), "foo 1");
  t.equal((await client.data("foo", 2)).toString(), "foo 2");
});

t.test("W13: a version that is made while its model goes leaves nothing in the model made again", async (t) => {
  const { client } = await startRegistry(t);
  for (let round = 0; round < 10; round++) {
    await client.createModel("foo");
    const making = Promise.allSettled(
      fill(4, round % 2 === 0).map((archived) => client.createVersion({ model_id: "foo", archived }, "x")),
    );
    await client.call("DeleteModel", { model_id: "foo" });
    const made = await making;
    for (const each of made) if (each.status === "rejected") t.equal(each.reason.code, "NOT_FOUND");
    await client.createModel("foo");
    t.strictSame(await listed(client), []);
    t.equal((await client.createVersion({ model_id: "foo" }, "x")).version_number, 1);
    await client.call("DeleteModel", { model_id: "foo" });
  }
});

t.test("W3: the requests that killed it, one after the other", async (t) => {
  const { client } = await startRegistry(t);
  await client.createModel("foo");
  await make(client, [true]);
  const rows: [string, string, object, string][] = [
    ["W3a", "CreateOrUpdateModel", {}, "INVALID_ARGUMENT"],
    ["W3c", "RetrieveModels", { model_ids: ["foo"], model_handle: "2" }, "OK"],
    ["W3c", "RetrieveModels", { model_ids: ["foo"], model_handle: "-1" }, "INVALID_ARGUMENT"],
    ["W3d", "RetrieveModels", { model_ids: ["foo"], models_count: 2 }, "OK"],
    ["W3e", "RetrieveVersionInfos", { model_id: "foo", version_numbers: [1], version_handle: "2" }, "OK"],
    ["W3f", "RetrieveVersionInfos", { model_id: "foo", version_numbers: [1], versions_count: 9 }, "OK"],
  ];
  for (const [number, method, request, code] of rows) {
    await t.test(`${number}: ${method}`, async (t) => t.equal((await client.ending(method, request)).code, code));
  }
  await t.test("W3b: CreateVersion", async (t) => {
    await t.rejects(client.uploadMessages([{ header: {} }]), { code: "INVALID_ARGUMENT" });
  });
  t.equal((await client.data("foo", 1)).toString(), "foo 1");
});

t.test("W4: no id reaches beyond its model, whatever it is and whatever is done with it", async (t) => {
  const rig = await startRegistry(t);
  await rig.client.createModel("foo");
  await make(rig.client, [true]);
  const before = filesIn(rig.dataDir).filter((name) => name.endsWith(".data"));
  for (const id of ["", ".", "..", "../..", "../x", "foo/../foo", "/tmp/x", "a\0", "archive", "foo/", "%2e%2e"]) {
    await rig.client.ending("CreateOrUpdateModel", { model_info: { model_id: id } });
    await rig.client.createVersion({ model_id: id, archived: true }, "x").catch(() => {});
    await rig.client.data(id, 1).catch(() => {});
    await rig.client.ending("RetrieveVersionInfos", { model_id: id });
    await rig.client.ending("DeleteModel", { model_id: id });
  }
  t.strictSame(
    filesIn(rig.dataDir).filter((name) => name.endsWith(".data")),
    before,
  );
  t.equal((await rig.client.data("foo", 1)).toString(), "foo 1");
  const { client } = await restarted(t, rig);
  t.equal((await client.data("foo", 1)).toString(), "foo 1");
});

t.test("W14: no message tells where anything lies on the disk", async (t) => {
  const rig = await startRegistry(t);
  await rig.client.createModel("foo");
  await make(rig.client, [true]);
  rmSync(rig.archiveDir, { recursive: true, force: true });
  writeFileSync(rig.archiveDir, "no folder any more");
  const endings = [
    await rig.client.createVersion({ model_id: "foo", archived: true }, "x").catch((error) => error),
    await rig.client.data("foo", 1).catch((error) => error),
    await rig.client.ending("DeleteModel", { model_id: "foo" }),
  ];
  for (const { code, details } of endings) {
    t.match(code, /^(INTERNAL|NOT_FOUND|DATA_LOSS|OK)$/);
    t.notMatch(details, rig.dataDir);
    t.notMatch(details, "/");
  }
});

t.test("W18: more than was said is refused at its first byte", async (t) => {
  const { client, server } = await startRegistry(t);
  await client.createModel("foo");
  const { call, reply } = client.openUpload();
  call.write({ header: { version_info: { model_id: "foo", data_size: "1", archived: true } } });
  call.write({ body: { data_chunk: Buffer.from("xy") } });
  await t.rejects(reply, { code: "INVALID_ARGUMENT", details: /expected 1 bytes, received 2 bytes/ });
  while (server.open.calls > 0) await new Promise(setImmediate);
});

t.test("more than max_version_size is refused by its header alone", async (t) => {
  const { client } = await startRegistry(t, { settings: { maxVersionBytes: 10 } });
  await client.createModel("foo");
  const { call, reply } = client.openUpload();
  call.write({ header: { version_info: { model_id: "foo", data_size: "11" } } });
  await t.rejects(reply, { code: "RESOURCE_EXHAUSTED", details: /11 bytes.*10/ });
  t.equal((await client.createVersion({ model_id: "foo" }, "0123456789")).version_number, 1);
});

t.test("W19: transient versions are bounded in bytes as well", async (t) => {
  const { client } = await startRegistry(t, { settings: { cacheMaxBytes: 100_000 } });
  await client.createModel("foo");
  for (let i = 0; i < 5; i++) await client.createVersion({ model_id: "foo" }, Buffer.alloc(40_000, i));
  t.strictSame(await listed(client), [4, 5]);
  t.strictSame(await client.ending("RetrieveVersionInfos", { model_id: "foo", version_numbers: [-3] }), {
    code: "NOT_FOUND",
    details: 'no version "n-3" for model "foo" found',
  });
  await t.rejects(client.data("foo", -3), { code: "NOT_FOUND", details: 'no version "3" for model "foo" found' });
});

t.test("2.2: a hole left by eviction shortens no page, and its number is not used again", async (t) => {
  const { client } = await startRegistry(t, { settings: { cacheMaxItems: 2 } });
  await client.createModel("foo");
  await make(client, [true, true, false, false, false]);
  const { version_infos: infos, next_version_handle: next } = await client.call("RetrieveVersionInfos", {
    model_id: "foo",
  });
  t.strictSame(
    [infos.map(({ version_number: number }: { version_number: number }) => number), next],
    [[1, 2, 4, 5], "6"],
  );
  t.strictSame(await listed(client, { versions_count: 2, version_handle: "3" }), [4, 5]);
  t.strictSame(await listed(client, { versions_count: 3 }), [1, 2, 4]);
  t.strictSame(await make(client, [false]), [6]);
});

t.test("2.2: a restart takes the transient versions, and never gives their numbers again", async (t) => {
  const first = await startRegistry(t);
  await first.client.createModel("foo");
  await make(first.client, [true, false, false]);
  const { client } = await restarted(t, first);
  t.strictSame(await listed(client), [1]);
  t.strictSame(await listed(client, { version_numbers: [-1] }), [1]);
  t.strictSame(await make(client, [true]), [4]);
});

t.test("W27: a stream lives on when the newest version it told of is no more", async (t) => {
  const { client } = await startRegistry(t, { settings: { cacheMaxItems: 1 } });
  await client.createModel("foo");
  await client.createModel("other");
  await make(client, [false]);
  const watch = client.watch("foo");
  await watch.until(1);
  await make(client, fill(3, false), "other");
  await make(client, [false]);
  await watch.until(2);
  t.strictSame(watch.numbers, [1, 2]);
  watch.cancel();
});

t.test("W28: who comes as soon as the port is open is answered", async (t) => {
  for (let round = 0; round < 3; round++) {
    const rig = await startRegistry(t);
    t.strictSame((await rig.client.call("RetrieveModels", {}, { deadline: Date.now() + 10_000 })).model_infos, []);
  }
});
