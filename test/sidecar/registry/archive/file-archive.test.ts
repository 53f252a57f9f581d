import { createHash } from "node:crypto";
import {
  appendFileSync,
  chmodSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import t from "tap";
import { ByteThreads } from "../../../../sidecar/registry/archive/byte-threads.js";
import { FileArchive, openArchive } from "../../../../sidecar/registry/archive/file-archive.js";
import { makeFolder } from "../../../helpers/folder.js";
import { bytesOf, openArchiveIn, PLACE, piecesOf, quiet, store, untilFault, writeAll } from "../archive-files.js";

const hashOf = (bytes: Buffer) => createHash("sha256").update(bytes).digest("base64");
const names = (dir: string) => readdirSync(dir, { recursive: true, encoding: "utf8" }).sort();

t.test("what was written comes back, in pieces of the size asked for, however it was cut on its way in", async (t) => {
  const archive = await openArchiveIn(t);
  const bytes = bytesOf(3_000_007);
  for (const chunkBytes of [700, 65_536, 1_000_000, 3_000_007]) {
    const incoming = await archive.receive();
    await writeAll(incoming, bytes, chunkBytes);
    t.equal(incoming.receivedBytes, bytes.byteLength);
    const seal = await incoming.seal();
    t.same(seal, { hash: hashOf(bytes), bytes: bytes.byteLength });
    await archive.remove(PLACE);
    await incoming.keep(PLACE);
    await archive.settle(PLACE);
    const { stream } = await archive.open(PLACE, seal, { chunkBytes: 1_000_000 });
    const pieces = await piecesOf(stream);
    t.same(
      pieces.map(({ byteLength }) => byteLength),
      [1_000_000, 1_000_000, 1_000_000, 7],
    );
    t.ok(Buffer.concat(pieces).equals(bytes), `in chunks of ${chunkBytes}`);
  }
  t.equal(statSync(archive.pathOf(PLACE)).mode & 0o777, 0o444);
});

t.test("no bytes at all are a version too, and so are pieces of one byte", async (t) => {
  const archive = await openArchiveIn(t);
  const none = await store(archive, Buffer.alloc(0));
  t.same(await piecesOf((await archive.open(PLACE, none, { chunkBytes: 10 })).stream), []);
  t.equal(await archive.verify(PLACE, none, { fresh: true }), null);
  const few = await store(archive, Buffer.from("abc"));
  const pieces = await piecesOf((await archive.open(PLACE, few, { chunkBytes: 1 })).stream);
  t.equal(pieces.join("|"), "a|b|c");
});

t.test("a chunk cut from shared memory leaves what lies beside it alone; one of its own is given away", async (t) => {
  const archive = await openArchiveIn(t);
  const shared = bytesOf(400_000);
  const incoming = await archive.receive();
  await incoming.write(shared.subarray(100_000, 200_000));
  await incoming.write(shared.subarray(200_000, 200_010));
  const pooled = Buffer.from("beside");
  await incoming.write(pooled);
  t.ok(shared.equals(bytesOf(400_000)));
  t.equal(String(pooled), "beside");
  const own = Buffer.allocUnsafeSlow(100_000).fill(1);
  await incoming.write(own);
  const expected = Buffer.concat([shared.subarray(100_000, 200_010), pooled, Buffer.alloc(100_000, 1)]);
  t.equal((await incoming.seal()).hash, hashOf(expected));
  t.equal(own.byteLength, 0, "handed over, not copied");
  await incoming.discard();
});

t.test("a part is exactly the bytes between its ends", async (t) => {
  const archive = await openArchiveIn(t);
  const bytes = bytesOf(1_500_000);
  const seal = await store(archive, bytes);
  for (const [first, last] of [
    [0, 0],
    [0, 1_499_999],
    [524_287, 524_288],
    [999_999, 1_499_999],
  ] as const) {
    const { stream } = await archive.open(PLACE, seal, { range: { first, last }, chunkBytes: 600_000 });
    const part = Buffer.concat(await piecesOf(stream));
    t.ok(part.equals(bytes.subarray(first, last + 1)), `${first}-${last}`);
  }
});

t.test("a damaged file keeps its last piece: nobody takes it for whole", async (t) => {
  const archive = await openArchiveIn(t);
  const seal = await store(archive, bytesOf(2_500_000));
  const path = archive.pathOf(PLACE);
  const bytes = readFileSync(path);
  bytes[17] = bytes[17]! ^ 1;
  chmodSync(path, 0o600);
  writeFileSync(path, bytes);
  const { stream } = await archive.open(PLACE, seal, { chunkBytes: 1_000_000 });
  t.same(await untilFault(stream), { bytes: 2_000_000, code: "VERSION_DAMAGED" });
  const range = { first: 2_000_000, last: 2_000_001 };
  await t.rejects(archive.open(PLACE, seal, { range, chunkBytes: 10 }), { code: "VERSION_DAMAGED" });
  t.equal(await archive.verify(PLACE, seal, { fresh: true }), "damaged");
});

t.test("a file that is short, long or gone is named as that, and not read", async (t) => {
  const archive = await openArchiveIn(t);
  const seal = await store(archive, bytesOf(1_000));
  const path = archive.pathOf(PLACE);
  chmodSync(path, 0o600);
  appendFileSync(path, "x");
  t.equal(await archive.verify(PLACE, seal, { fresh: false }), "long");
  await t.rejects(archive.open(PLACE, seal, { chunkBytes: 10 }), { code: "VERSION_DAMAGED" });
  truncateSync(path, 999);
  t.equal(await archive.verify(PLACE, seal, { fresh: false }), "short");
  await t.rejects(archive.open(PLACE, seal, { chunkBytes: 10 }), { code: "VERSION_DAMAGED" });
  unlinkSync(path);
  t.equal(await archive.verify(PLACE, seal, { fresh: false }), "missing");
  await t.rejects(archive.open(PLACE, seal, { chunkBytes: 10 }), { code: "REGISTRY_VERSION_UNKNOWN" });
});

t.test("a file that loses its end while it is read fails, and does not end", async (t) => {
  const archive = await openArchiveIn(t);
  const seal = await store(archive, bytesOf(8_000_000));
  const { stream } = await archive.open(PLACE, seal, { chunkBytes: 1_000_000 });
  const pieces = stream[Symbol.asyncIterator]();
  await pieces.next();
  chmodSync(archive.pathOf(PLACE), 0o600);
  truncateSync(archive.pathOf(PLACE), 7_000_000);
  await t.rejects(
    async () => {
      for (let step = await pieces.next(); step.done !== true; step = await pieces.next());
    },
    { code: "VERSION_DAMAGED" },
  );
});

t.test("a download goes on when its version is removed meanwhile", async (t) => {
  const archive = await openArchiveIn(t);
  const bytes = bytesOf(8_000_000);
  const seal = await store(archive, bytes);
  const { stream } = await archive.open(PLACE, seal, { chunkBytes: 1_000_000 });
  await archive.remove(PLACE);
  t.ok(Buffer.concat(await piecesOf(stream)).equals(bytes));
  t.equal(await archive.verify(PLACE, seal, { fresh: true }), "missing");
});

t.test("a suspended file is gone on with from the bytes that are known to be there", async (t) => {
  const dir = makeFolder(t);
  const bytes = bytesOf(2_000_000);
  const first = await openArchive({ dir, logger: quiet });
  const incoming = await first.receive();
  await writeAll(incoming, bytes.subarray(0, 1_500_000), 400_000);
  await incoming.sync();
  await incoming.suspend();
  await first.close();
  const archive = await openArchiveIn(t, dir);
  const again = await archive.resume(incoming.id, 1_200_000);
  t.equal(again!.receivedBytes, 1_200_000, "what lies beyond is cut off");
  await writeAll(again!, bytes.subarray(1_200_000), 400_000);
  t.same(await again!.seal(), { hash: hashOf(bytes), bytes: bytes.byteLength });
  await again!.discard();
  t.equal(await archive.resume(incoming.id), null, "gone");
  const short = await archive.receive();
  await short.suspend();
  t.equal(await archive.resume(short.id, 1), null, "shorter than it is known to be");
});

t.test("a sweep takes what bears a name of ours and nothing names, and nothing else", async (t) => {
  const archive = await openArchiveIn(t);
  await store(archive, bytesOf(10));
  await store(archive, bytesOf(10), { folder: "1-foo", file: "v000002.data" });
  await store(archive, bytesOf(10), { folder: "2-bar", file: "v000001.data" });
  await (await archive.receive()).suspend();
  const known = await archive.receive();
  await known.suspend();
  writeFileSync(join(archive.dir, "incoming", "notes.txt"), "a stranger's");
  writeFileSync(join(archive.dir, "1-foo", "foo.yaml"), "a stranger's");
  const swept = await archive.sweep({
    isPlace: ({ folder, file }) => folder === "1-foo" && file === "v000001.data",
    isIncoming: (id) => id === known.id,
    onUnknown: (place) => t.fail(`${place.folder}/${place.file} is a leftover`),
  });
  t.equal(swept, 4, "a version, a version and its folder, an upload");
  t.same(
    names(archive.dir),
    [
      "1-foo",
      "1-foo/foo.yaml",
      "1-foo/v000001.data",
      "incoming",
      `incoming/${known.id}.sluice`,
      "incoming/notes.txt",
    ].sort(),
  );
});

t.test("no name leads out of the archive", async (t) => {
  const archive = await openArchiveIn(t);
  for (const place of [
    { folder: "..", file: "x" },
    { folder: "a/b", file: "x" },
    { folder: "a", file: "../x" },
    { folder: "a", file: "" },
    { folder: "a", file: ".hidden" },
  ]) {
    t.throws(() => archive.pathOf(place), { code: "INTERNAL" }, JSON.stringify(place));
  }
  await t.rejects(archive.resume("../1-foo"), { code: "INTERNAL" });
});

t.test("sixty uploads and sixty downloads at a time keep their bytes apart", async (t) => {
  const archive = await openArchiveIn(t);
  const all = Array.from({ length: 60 }, (_, index) => Buffer.alloc(300_000 + index * 1_000, index));
  const seals = await Promise.all(
    all.map((bytes, index) => store(archive, bytes, { folder: `${index}-m`, file: "v000001.data" })),
  );
  t.same(
    seals.map(({ hash }) => hash),
    all.map(hashOf),
  );
  await Promise.all(
    all.map(async (bytes, index) => {
      const place = { folder: `${index}-m`, file: "v000001.data" };
      const { stream } = await archive.open(place, seals[index]!, { chunkBytes: 70_000 });
      t.ok(Buffer.concat(await piecesOf(stream)).equals(bytes));
    }),
  );
});

t.test("readers who do not read hold up nobody else", async (t) => {
  const archive = await openArchiveIn(t);
  const bytes = bytesOf(6_000_000);
  const seal = await store(archive, bytes);
  const slow = await Promise.all(
    Array.from({ length: 40 }, async () => {
      const { stream } = await archive.open(PLACE, seal, { chunkBytes: 2_000_000 });
      await stream[Symbol.asyncIterator]().next();
      return stream;
    }),
  );
  const { stream } = await archive.open(PLACE, seal, { chunkBytes: 2_000_000 });
  t.ok(Buffer.concat(await piecesOf(stream)).equals(bytes));
  for (const each of slow) each.destroy();
});

/** Its streams die with it, as they would when it ran out of memory. */
function killThread(threads: ByteThreads): void {
  threads
    .attach(() => {})
    .post({
      type: "read.begin",
      file: 0,
      first: 0,
      bytes: 1,
      pieceBytes: -1,
      mode: "hash",
      hash: null,
    });
}

t.test("a thread that dies takes its own streams along, and the next ones get another", async (t) => {
  const dir = makeFolder(t);
  await (await openArchive({ dir, logger: quiet })).close();
  const threads = new ByteThreads(1, quiet);
  const archive = new FileArchive(dir, threads);
  t.teardown(() => archive.close());
  const seal = await store(archive, bytesOf(9_000_000));
  const { stream } = await archive.open(PLACE, seal, { chunkBytes: 1_000_000 });
  await stream[Symbol.asyncIterator]().next();
  const incoming = await archive.receive();
  await incoming.write(bytesOf(100));
  killThread(threads);
  await t.rejects(incoming.sync(), { code: "STORE_FAILED" });
  await t.rejects(incoming.write(bytesOf(100)), { code: "STORE_FAILED" });
  await t.rejects(incoming.seal(), { code: "STORE_FAILED" });
  await incoming.discard();
  t.equal((await untilFault(stream)).code, "STORE_FAILED");
  t.same(await store(archive, bytesOf(10_000)), { hash: hashOf(bytesOf(10_000)), bytes: 10_000 });
  t.same(names(join(dir, "incoming")), []);
});

t.test("a closed archive has ended its streams, kept what was on its way, and takes nothing more", async (t) => {
  const dir = makeFolder(t);
  const archive = await openArchive({ dir, logger: quiet });
  const seal = await store(archive, bytesOf(9_000_000));
  const { stream } = await archive.open(PLACE, seal, { chunkBytes: 1_000_000 });
  const incoming = await archive.receive();
  await incoming.write(bytesOf(100));
  const fault = untilFault(stream);
  await archive.close();
  t.equal((await fault).code, "SHUTTING_DOWN");
  await t.rejects(incoming.write(bytesOf(100)), { code: "STORE_FAILED" });
  await t.rejects(archive.receive(), { code: "SHUTTING_DOWN" });
  t.same(names(join(dir, "incoming")), [`${incoming.id}.sluice`]);
});
