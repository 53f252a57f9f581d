/** The registry as its callers see it, over a real database and real files. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import type { RegistryChange } from "../../../sidecar/registry/registry.js";
import { filesIn, hashOf, headerOf, numbers, openRig, pull, push, putModel } from "./local-rig.js";

t.test("a model is made, replaced whole, listed in byte order and deleted", async (t) => {
  const { registry } = await openRig(t);
  for (const id of ["b", "a", "Z", "é", "resnet-v2", "123"]) await putModel(registry, id, { of: id });
  await putModel(registry, "a", { __proto__: "kept", other: "1" } as unknown as Record<string, string>);
  const ids = (page: { skip: number; limit: number }) => registry.models(page).map(({ modelId }) => modelId);
  t.same(ids({ skip: 0, limit: 0 }), ["123", "Z", "a", "b", "resnet-v2", "é"]);
  t.same(ids({ skip: 1, limit: 2 }), ["Z", "a"]);
  t.same(ids({ skip: 9, limit: 2 }), []);
  t.same(registry.model("a"), { modelId: "a", userData: { other: "1" } }, "nothing is merged");
  t.same(registry.model("Z")?.userData, { of: "Z" });
  await registry.deleteModel("a", { force: false });
  t.equal(registry.model("a"), null);
  await t.rejects(registry.deleteModel("a", { force: false }), {
    code: "REGISTRY_MODEL_UNKNOWN",
    message: 'no model "a" found',
  });
});

t.test("ids that could not name a file, and user data above the limit, are refused", async (t) => {
  const { registry } = await openRig(t);
  for (const id of ["", ".", "..", "a/b", "a\0b", "a\\b", "x".repeat(256), "\ud800"]) {
    await t.rejects(putModel(registry, id), { code: "REGISTRY_ID_INVALID" }, JSON.stringify(id));
  }
  await putModel(registry, "x".repeat(255));
  const tooMuch = { k: "v".repeat(256 * 1024) };
  await t.rejects(putModel(registry, "m", tooMuch), { code: "INVALID_PARAMETER" });
  t.equal(registry.model("m"), null);
  await putModel(registry, "m", { k: "v".repeat(256 * 1024 - 1) });
  await t.rejects(registry.create(headerOf("m", 1, { userData: tooMuch })), { code: "INVALID_PARAMETER" });
});

t.test("a version comes back as it was sent, with its number, hash, size and time", async (t) => {
  const { registry, archiveDir } = await openRig(t);
  await putModel(registry, "foo");
  const creationTimestamp = 2n ** 64n - 1n;
  const info = await push(registry, "foo", "chunk_1chunk_2", { creationTimestamp, userData: { k: "v" } });
  t.same(info, {
    modelId: "foo",
    versionNumber: 1,
    creationTimestamp,
    archived: true,
    dataHash: "jY0g3VkUK62ILPr2JuaW5g7uQi0EcJVZJu8IYp3yfhI=",
    dataBytes: 14,
    userData: { k: "v" },
  });
  t.same(registry.version("foo", 1), info);
  t.equal(await pull(registry, "foo", 1), "chunk_1chunk_2");
  t.same(filesIn(archiveDir), ["1-foo/v000001.data"]);
  const before = BigInt(Date.now()) * 1_000_000n;
  const empty = await push(registry, "foo", "");
  t.equal(empty.dataHash, "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
  t.ok(empty.creationTimestamp >= before && empty.creationTimestamp < before + 60_000_000_000n);
  t.equal(await pull(registry, "foo", 2), "");
  const { stream } = await registry.open("foo", 1, { range: { first: 6, last: 7 }, chunkBytes: 10 });
  t.equal(Buffer.concat((await stream.toArray()) as Uint8Array[]).toString(), "1c");
  for (const range of [
    { first: 0, last: 14 },
    { first: -1, last: 2 },
    { first: 3, last: 2 },
    { first: 0.5, last: 2 },
  ]) {
    await t.rejects(registry.open("foo", 1, { range, chunkBytes: 10 }), { code: "RANGE_NOT_SATISFIABLE" });
  }
});

t.test("what is sent must be what the header says: else nothing stays and no number is used", async (t) => {
  const { registry, archiveDir } = await openRig(t, { settings: { maxVersionBytes: 100 } });
  await t.rejects(registry.create(headerOf("foo", 1)), { code: "REGISTRY_MODEL_UNKNOWN" });
  await putModel(registry, "foo");
  await t.rejects(registry.create(headerOf("foo", 101)), { code: "VERSION_TOO_LARGE" });
  for (const bytes of [-1, 0.5, Number.NaN]) {
    await t.rejects(registry.create(headerOf("foo", bytes)), { code: "INVALID_PARAMETER" }, String(bytes));
  }
  await t.rejects(registry.create(headerOf("foo", 1, { creationTimestamp: 2n ** 64n })), { code: "INVALID_PARAMETER" });

  for (const archived of [true, false]) {
    const over = await registry.create(headerOf("foo", 3, { archived }));
    await over.write(Buffer.from("ab"));
    await t.rejects(over.write(Buffer.from("cd")), {
      code: "VERSION_REJECTED",
      message: /expected 3 bytes, received 4 bytes/,
    });
    await t.rejects(over.commit(), { code: "STORE_FAILED" }, "it has ended");
    await over.abort();

    const short = await registry.create(headerOf("foo", 3, { archived }));
    await short.write(Buffer.from("ab"));
    await t.rejects(short.commit(), { code: "VERSION_REJECTED", message: /expected 3 bytes, received 2 bytes/ });

    const wrong = await registry.create(headerOf("foo", 1, { archived, dataHash: "other" }));
    await wrong.write(Buffer.from("a"));
    await t.rejects(wrong.commit(), {
      code: "VERSION_REJECTED",
      message: `received data did not match the expected hash, expected "other", received "${hashOf("a")}"`,
    });
  }
  t.same(filesIn(archiveDir), []);
  t.equal((await push(registry, "foo", "a", { dataHash: hashOf("a") })).versionNumber, 1);
});

t.test("negative numbers count from the newest one that exists, holes included", async (t) => {
  const { registry } = await openRig(t);
  await putModel(registry, "foo");
  await t.rejects(async () => registry.version("foo", -1), { message: 'no version "n-1" for model "foo" found' });
  for (const archived of [true, true, false, false, false]) await push(registry, "foo", "x", { archived });
  await registry.deleteVersion("foo", 3, { force: false });
  t.same(numbers(registry.versions("foo", { from: 0, limit: 0 })), [1, 2, 4, 5]);
  const at = (number: number) => registry.version("foo", number).versionNumber;
  t.same([at(-1), at(-2), at(-4), at(-5)], [5, 4, 2, 1]);
  const unknown = [
    [0, 'model "foo" doesn\'t have any version yet'],
    [-3, 'no version "n-3" for model "foo" found'],
    [-6, 'no version "n-6" for model "foo" found'],
    [-7, 'no version "n-7" for model "foo" found'],
    [-2147483648, 'no version "n-2147483648" for model "foo" found'],
    [3, 'no version "3" for model "foo" found'],
    [6, 'no version "6" for model "foo" found'],
  ] as const;
  for (const [number, message] of unknown) {
    t.throws(() => registry.version("foo", number), { code: "REGISTRY_VERSION_UNKNOWN", message }, String(number));
  }
  t.throws(() => registry.version("bar", -1), { code: "REGISTRY_MODEL_UNKNOWN", message: 'no model "bar" found' });
});

t.test("pages are full where enough is left, over transient and archived versions alike", async (t) => {
  const { registry } = await openRig(t);
  await putModel(registry, "foo");
  for (let each = 1; each <= 9; each++) await push(registry, "foo", "x", { archived: each % 3 !== 0 });
  await registry.deleteVersion("foo", 5, { force: false });
  const page = (from: number, limit: number) => numbers(registry.versions("foo", { from, limit }));
  t.same(page(1, 4), [1, 2, 3, 4]);
  t.same(page(5, 4), [6, 7, 8, 9]);
  t.same(page(9, 4), [9]);
  t.same(page(10, 4), []);
  t.same(page(2 ** 63, 4), []);
  t.same(page(0, 0), [1, 2, 3, 4, 6, 7, 8, 9]);
  t.same(registry.latest("foo")?.versionNumber, 9);
  t.equal(registry.latest("bar"), null);
  t.throws(() => registry.versions("bar", { from: 0, limit: 1 }), { code: "REGISTRY_MODEL_UNKNOWN" });
});

t.test("after a restart archived versions are there, transient ones are gone, and no number comes twice", async (t) => {
  const first = await openRig(t);
  await putModel(first.registry, "foo", { k: "v" });
  await push(first.registry, "foo", "one");
  await push(first.registry, "foo", "two", { archived: false });
  await push(first.registry, "foo", "three", { archived: false });
  t.equal(await pull(first.registry, "foo", 2), "two");
  await first.close();
  const { registry } = await openRig(t, { dataDir: first.dataDir });
  t.same(numbers(registry.versions("foo", { from: 0, limit: 0 })), [1]);
  t.equal(registry.version("foo", -1).versionNumber, 1);
  t.equal((await push(registry, "foo", "four")).versionNumber, 4);
  await registry.deleteVersion("foo", 4, { force: false });
  t.equal((await push(registry, "foo", "five")).versionNumber, 5, "nor after a deletion");
  await registry.deleteModel("foo", { force: false });
  await putModel(registry, "foo");
  t.equal((await push(registry, "foo", "another's")).versionNumber, 1, "a model made again is another one");
});

t.test("the least recently used transient version goes first, the newest of a model never", async (t) => {
  const { registry } = await openRig(t, { settings: { cacheMaxItems: 2 } });
  for (const id of ["a", "b", "c", "d"]) {
    await putModel(registry, id);
    await push(registry, id, id, { archived: false });
  }
  t.same(
    ["a", "b", "c", "d"].map((id) => registry.latest(id)?.versionNumber),
    [1, 1, 1, 1],
  );
  await push(registry, "a", "2", { archived: false });
  await push(registry, "a", "3");
  t.same(numbers(registry.versions("a", { from: 0, limit: 0 })).at(-1), 3);
  t.equal(registry.latest("b")?.versionNumber, 1, "others' newest ones stay");
  t.equal(await pull(registry, "b", 1), "b");
});

t.test("an upload whose model is deleted meanwhile fails, also when the model is made again", async (t) => {
  const { registry, archiveDir } = await openRig(t);
  for (const archived of [true, false]) {
    await putModel(registry, "foo");
    const upload = await registry.create(headerOf("foo", 1, { archived }));
    await upload.write(Buffer.from("a"));
    await registry.deleteModel("foo", { force: false });
    await putModel(registry, "foo");
    await t.rejects(upload.commit(), { code: "REGISTRY_MODEL_UNKNOWN" });
    t.same(registry.versions("foo", { from: 0, limit: 0 }), []);
  }
  t.same(filesIn(archiveDir), []);
});

t.test("an open download goes on when its version is deleted", async (t) => {
  const { registry, archiveDir } = await openRig(t);
  await putModel(registry, "foo");
  const data = Buffer.alloc(300_000, "x");
  for (const archived of [true, false]) {
    const { versionNumber } = await push(registry, "foo", data, { archived });
    const { stream } = await registry.open("foo", versionNumber, { chunkBytes: 1_000 });
    await registry.deleteVersion("foo", versionNumber, { force: false });
    await t.rejects(registry.open("foo", versionNumber, { chunkBytes: 1_000 }), { code: "REGISTRY_VERSION_UNKNOWN" });
    t.ok(Buffer.concat((await stream.toArray()) as Uint8Array[]).equals(data));
  }
  t.same(filesIn(archiveDir), []);
});

t.test("what a deployed model needs is deleted by force alone", async (t) => {
  const { registry } = await openRig(t);
  await putModel(registry, "foo");
  await push(registry, "foo", "1");
  await push(registry, "foo", "2");
  registry.followUses(() => [{ modelId: "foo", versionNumber: 1, by: "served" }]);
  await registry.deleteVersion("foo", 2, { force: false });
  const inUse = {
    code: "REGISTRY_IN_USE",
    message: /version 1 of model "foo" is in use by the deployed model "served"/,
  };
  await t.rejects(registry.deleteVersion("foo", 1, { force: false }), inUse);
  await t.rejects(registry.deleteModel("foo", { force: false }), inUse);
  t.ok(registry.version("foo", 1));
  await registry.deleteVersion("foo", 1, { force: true });
  await registry.deleteModel("foo", { force: true });
});

t.test("a package is the file of an archived version, checked", async (t) => {
  const { registry, archiveDir } = await openRig(t);
  await putModel(registry, "foo");
  await push(registry, "foo", "1");
  await push(registry, "foo", "2", { archived: false });
  const file = await registry.packageFile("foo", 1);
  t.equal(file, join(archiveDir, "1-foo/v000001.data"));
  await t.rejects(registry.packageFile("foo", 2), { code: "VERSION_TRANSIENT" });
  await t.rejects(registry.packageFile("foo", 3), { code: "REGISTRY_VERSION_UNKNOWN" });
  writeFileSync(file, "x");
  await t.rejects(registry.packageFile("foo", 1), { code: "VERSION_DAMAGED" });
});

t.test("64 uploads may be under way, and each that ends makes room for another", async (t) => {
  const { registry } = await openRig(t);
  await putModel(registry, "foo");
  const uploads = [];
  for (let each = 0; each < 64; each++)
    uploads.push(await registry.create(headerOf("foo", 0, { archived: each % 2 === 0 })));
  await t.rejects(registry.create(headerOf("foo", 0)), { code: "REGISTRY_BUSY" });
  await uploads[0]!.abort();
  await uploads[0]!.abort();
  await uploads[1]!.commit();
  await push(registry, "foo", "");
  for (let each = 0; each < 2; each++) uploads.push(await registry.create(headerOf("foo", 0)));
  await t.rejects(registry.create(headerOf("foo", 0)), { code: "REGISTRY_BUSY" });
  await Promise.all(uploads.map((upload) => upload.abort()));
});

t.test("changes are told in the order of the commits, and a listener that throws harms nobody", async (t) => {
  const { registry } = await openRig(t);
  const told: RegistryChange[] = [];
  registry.onChange(() => {
    throw new Error("a listener's own fault");
  });
  const unsubscribe = registry.onChange((change) => {
    told.push(change);
    if (change.type === "version-created")
      t.same(registry.latest("foo"), change.info, "it can be seen when it is told");
  });
  await putModel(registry, "foo");
  await push(registry, "foo", "1");
  await push(registry, "foo", "2", { archived: false });
  await registry.setAlias("foo", "champion", 1);
  await registry.deleteVersion("foo", 1, { force: false });
  await registry.deleteModel("foo", { force: false });
  unsubscribe();
  await putModel(registry, "foo");
  t.match(told, [
    { type: "model-put", modelId: "foo" },
    { type: "version-created", info: { versionNumber: 1 } },
    { type: "version-created", info: { versionNumber: 2 } },
    { type: "alias-set", alias: { alias: "champion", versionNumber: 1 } },
    { type: "alias-set", alias: { alias: "champion", versionNumber: null } },
    { type: "version-deleted", modelId: "foo", versionNumber: 1 },
    { type: "model-deleted", modelId: "foo" },
  ]);
  t.equal(told.length, 7);
});

t.test("a stop ends what is under way and leaves nothing half-made", async (t) => {
  const { registry, archiveDir, close } = await openRig(t);
  await putModel(registry, "foo");
  const upload = await registry.create(headerOf("foo", 2));
  await upload.write(Buffer.from("a"));
  const committing = push(registry, "foo", "b").catch(() => {});
  await Promise.all([close(), close()]);
  await committing;
  await t.rejects(upload.write(Buffer.from("b")), { code: "STORE_FAILED" });
  await t.rejects(registry.create(headerOf("foo", 0)), { code: "SHUTTING_DOWN" });
  const left = filesIn(archiveDir);
  t.ok(left.length <= 1 && left.every((file) => file === "1-foo/v000001.data"), String(left));
});
