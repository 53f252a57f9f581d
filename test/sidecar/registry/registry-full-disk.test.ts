/** A disk that is really full: uploads are refused with words, what is there is read, and deleting makes room. */
import t from "tap";
import { requireOrSkip } from "../../helpers/services.js";
import { mountSmallDisk } from "../../helpers/small-disk.js";
import { filesIn, hashOf, headerOf, openRig, pull, push, putModel } from "./local-rig.js";

const MIB = 2 ** 20;

async function* pieces(...chunks: Uint8Array[]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) yield Uint8Array.from(chunk);
}

t.test("on a full disk", async (t) => {
  const disk = await mountSmallDisk(t, 48);
  const reason = typeof disk === "string" ? disk : null;
  if (!requireOrSkip(t, "a disk of its own", reason) || typeof disk === "string") return;
  const { registry, uploads, archiveDir } = await openRig(t, { dataDir: disk.path });
  await putModel(registry, "foo");
  const big = Buffer.alloc(4 * MIB, "x");
  await push(registry, "foo", big);
  const { id } = await uploads.begin(headerOf("foo", 8 * MIB));
  await uploads.append(id, 0, pieces(big));
  const files = filesIn(archiveDir);
  disk.fill();

  await t.rejects(push(registry, "foo", big), { code: "DISK_FULL" });
  await t.rejects(uploads.append(id, 4 * MIB, pieces(big)), { code: "DISK_FULL" });
  t.equal(uploads.state(id).offsetBytes, 4 * MIB, "what was there of it is kept");
  t.same(filesIn(archiveDir), files, "and nothing half-made");
  t.equal((await pull(registry, "foo", 1)).length, 4 * MIB);
  t.same(registry.versions("foo", { from: 0, limit: 0 }).length, 1);

  disk.free();
  const appended = await uploads.append(id, 4 * MIB, pieces(big));
  t.match(appended, { version: { versionNumber: 2, dataHash: hashOf(Buffer.concat([big, big])) } });
  t.equal((await push(registry, "foo", big)).versionNumber, 3, "a refused upload uses no number");
});
