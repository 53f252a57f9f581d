import { createHash } from "node:crypto";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import t, { type Test } from "tap";
import { openTransients } from "../../../../sidecar/registry/transient/transient-versions.js";
import type { TransientKey, Transients } from "../../../../sidecar/registry/transient/transients.js";
import { makeFolder } from "../../../helpers/folder.js";
import { requireOrSkip } from "../../../helpers/services.js";
import { mountSmallDisk } from "../../../helpers/small-disk.js";
import { bytesOf, piecesOf, quiet, writeAll } from "../archive-files.js";

const key = (instance: number, versionNumber: number): TransientKey => ({ instance, versionNumber });

interface Rig {
  readonly transients: Transients;
  readonly dir: string;
  readonly evicted: string[];
}

async function open(t: Test, cacheMaxBytes: number, { dir = makeFolder(t), cacheMaxItems = 100 } = {}): Promise<Rig> {
  const settings = () => ({ cacheMaxItems, cacheMaxBytes });
  const transients = await openTransients({ dir, settings, logger: quiet });
  t.teardown(() => transients.close());
  const evicted: string[] = [];
  transients.onEvicted(({ instance, versionNumber }) => evicted.push(`${instance}/${versionNumber}`));
  return { transients, dir, evicted };
}

async function keep({ transients }: Rig, at: TransientKey, bytes: Buffer): Promise<void> {
  const incoming = await transients.receive(bytes.byteLength);
  await writeAll(incoming, bytes, 100_000);
  const seal = await incoming.seal();
  t.same(seal, { hash: createHash("sha256").update(bytes).digest("base64"), bytes: bytes.byteLength });
  incoming.keep(at);
}

async function read({ transients }: Rig, at: TransientKey, range?: { first: number; last: number }) {
  const opened = await transients.open(at, { chunkBytes: 70_000, ...(range === undefined ? {} : { range }) });
  return opened === null ? null : Buffer.concat(await piecesOf(opened.stream));
}

t.test("bytes come back whole and in parts, from memory and from a file without a name", async (t) => {
  for (const cacheMaxBytes of [10_000_000, 1_000]) {
    const rig = await open(t, cacheMaxBytes);
    const bytes = bytesOf(1_000_003);
    await keep(rig, key(1, 1), bytes);
    t.ok((await read(rig, key(1, 1)))!.equals(bytes));
    const part = await read(rig, key(1, 1), { first: 69_999, last: 210_001 });
    t.ok(part!.equals(bytes.subarray(69_999, 210_002)));
    t.same(readdirSync(join(rig.dir, "incoming")), [], "nothing that a crash would leave");
    t.equal(await read(rig, key(1, 2)), null);
  }
});

t.test("a piece from memory is its reader's own", async (t) => {
  const rig = await open(t, 10_000_000);
  const bytes = bytesOf(200_000);
  await keep(rig, key(1, 1), bytes);
  const { stream } = (await rig.transients.open(key(1, 1), { chunkBytes: 100_000 }))!;
  for (const piece of await piecesOf(stream)) piece.fill(0);
  t.ok((await read(rig, key(1, 1)))!.equals(bytes));
});

t.test("the least recently used goes, and is told before the call that evicts it returns", async (t) => {
  const rig = await open(t, 10_000_000, { cacheMaxItems: 2 });
  for (const number of [1, 2, 3]) await keep(rig, key(1, number), bytesOf(10));
  t.same(rig.evicted, ["1/1"]);
  rig.transients.setNewest(1, 4);
  await keep(rig, key(2, 1), bytesOf(10));
  t.same(rig.evicted, ["1/1", "1/2"]);
  t.equal(await read(rig, key(1, 2)), null);
  t.ok(await read(rig, key(1, 3)));
});

t.test("bytes of an upload under way drive out others as they come, not as they are announced", async (t) => {
  const rig = await open(t, 1_000_000);
  await keep(rig, key(1, 1), bytesOf(400_000));
  await keep(rig, key(1, 2), bytesOf(300_000));
  const incoming = await rig.transients.receive(400_000);
  await incoming.write(bytesOf(250_000));
  t.same(rig.evicted, []);
  await incoming.write(bytesOf(150_000));
  t.same(rig.evicted, ["1/1"]);
  await incoming.discard();
  await incoming.discard();
  t.ok(await read(rig, key(1, 2)));
});

t.test("newest versions move to files while bytes come, and are read on meanwhile and after", async (t) => {
  const rig = await open(t, 1_000_000);
  const bytes = bytesOf(450_000);
  for (const instance of [1, 2, 3, 4]) await keep(rig, key(instance, 1), bytes);
  t.same(rig.evicted, []);
  for (const instance of [1, 2, 3, 4]) t.ok((await read(rig, key(instance, 1)))!.equals(bytes), `model ${instance}`);
});

t.test("a reader goes on when its version is evicted or removed", async (t) => {
  for (const cacheMaxBytes of [10_000_000, 1_000]) {
    const rig = await open(t, cacheMaxBytes);
    const bytes = bytesOf(5_000_000);
    await keep(rig, key(1, 1), bytes);
    const { stream } = (await rig.transients.open(key(1, 1), { chunkBytes: 100_000 }))!;
    rig.transients.remove(key(1, 1));
    t.equal(await read(rig, key(1, 1)), null);
    t.ok(Buffer.concat(await piecesOf(stream)).equals(bytes));
  }
});

t.test("a full disk refuses what needs a file, and leaves what is in memory", async (t) => {
  const disk = await mountSmallDisk(t, 4);
  if (!requireOrSkip(t, "a disk of its own", typeof disk === "string" ? disk : null) || typeof disk === "string")
    return;
  const rig = await open(t, 1_000_000, { dir: disk.path });
  await keep(rig, key(1, 1), bytesOf(450_000));
  await keep(rig, key(2, 1), bytesOf(450_000));
  disk.fill();
  const big = await rig.transients.receive(3_000_000);
  await t.rejects(
    (async () => {
      await writeAll(big, bytesOf(3_000_000), 500_000);
      await big.seal();
    })(),
    { code: "DISK_FULL" },
  );
  await big.discard();
  const small = await rig.transients.receive(400_000);
  await t.rejects(small.write(bytesOf(400_000)), { code: "DISK_FULL" });
  await small.discard();
  t.equal((await read(rig, key(1, 1)))!.byteLength, 450_000);
  disk.free();
  await keep(rig, key(3, 1), bytesOf(400_000));
  t.same(rig.evicted, []);
});
