import { mkdtempSync, openSync, readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t, { type Test } from "tap";
import { DirectFile } from "../../../../sidecar/registry/archive/direct-file.js";
import { ThreadWriter } from "../../../../sidecar/registry/archive/thread-writer.js";
import { bytesOf } from "../archive-files.js";

const KIB = 1024;
/** Of chunks handed over together: above and below what goes past the cache, whole blocks and broken ones. */
const LENGTHS = [2_048 * KIB, 5, 300 * KIB + 7, 256 * KIB, 100 * KIB, 4_096 * KIB - 1, 1, 700 * KIB + 4_095];

/** On a disk, where a system's folder of the kind is one. */
function makeWriter(t: Test, { isDurable }: { readonly isDurable: boolean }) {
  const folder = mkdtempSync(join(tmpdir(), "direct-"));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "file");
  const file = openSync(path, "wx+");
  const said: unknown[] = [];
  const writer = new ThreadWriter({ type: "write.begin", id: 1, file, heldBytes: 0, isDurable }, (message) => {
    said.push(message);
  });
  writer.begin();
  return { path, writer, said };
}

/** They are given away. */
const own = (bytes: Buffer) => {
  const copied = Buffer.allocUnsafeSlow(bytes.byteLength);
  copied.set(bytes);
  return copied;
};

t.test(
  "however bytes are cut, past the cache or through it, all of them are in the file, in their order",
  async (t) => {
    for (const isDurable of [true, false]) {
      const { path, writer } = makeWriter(t, { isDurable });
      const bytes = bytesOf(LENGTHS.reduce((sum, length) => sum + length, 0));
      let offset = 0;
      for (const length of LENGTHS) {
        const chunk = bytes.subarray(offset, offset + length);
        const cut = Math.floor(length / 3);
        writer.write([own(chunk.subarray(0, cut)), own(chunk.subarray(cut))]);
        offset += length;
        if (length % 2 === 0) await writer.sync(false);
        if (length % 2 === 0)
          t.ok(readFileSync(path).equals(bytes.subarray(0, offset)), `whole when synced at ${offset}`);
      }
      await writer.sync(true);
      t.ok(readFileSync(path).equals(bytes), `durable: ${isDurable}`);
      writer.stop();
    }
  },
);

t.test("one that is stopped has written what it was given, and holds no second handle", async (t) => {
  const { path, writer } = makeWriter(t, { isDurable: true });
  const bytes = bytesOf(1_024 * KIB + 100);
  writer.write([own(bytes)]);
  writer.stop();
  await writer.idle();
  t.ok(readFileSync(path).equals(bytes));
  t.equal(handlesOf(path).length, 1);
});

t.test("what cannot be written past a cache says so when it is opened", (t) => {
  t.equal(DirectFile.open(openSync("/dev/null", "w")), null);
  t.equal(DirectFile.open(-1), null);
  t.end();
});

function handlesOf(path: string): string[] {
  return readdirSync("/proc/self/fd").filter((name) => {
    try {
      return readlinkSync(`/proc/self/fd/${name}`) === path;
    } catch {
      return false;
    }
  });
}
