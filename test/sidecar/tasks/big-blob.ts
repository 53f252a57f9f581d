/** Writes and reads one gibibyte in the folder given, and tells by how much the process grew. */
import { createHash } from "node:crypto";
import { FileBlobs } from "../../../sidecar/tasks/file-blobs.js";

const CHUNK_BYTES = 64 * 1024;
const CHUNKS = 2 ** 30 / CHUNK_BYTES;

async function* gibibyte(): AsyncGenerator<Buffer> {
  for (let i = 0; i < CHUNKS; i++) {
    yield Buffer.alloc(CHUNK_BYTES, i % 251);
    peak = Math.max(peak, process.memoryUsage.rss());
  }
}

const blobs = await FileBlobs.open(process.argv[2]!);
const before = process.memoryUsage.rss();
let peak = before;
const body = await blobs.write("payload", gibibyte(), { maxBytes: 2 ** 31, idleTimeoutMs: 10_000 });
const hash = createHash("sha256");
let size = 0;
for await (const chunk of await blobs.open(body, { verify: true })) {
  hash.update(chunk);
  size += chunk.length;
  peak = Math.max(peak, process.memoryUsage.rss());
}
if (body.kind === "blob") await blobs.remove(body.key);
const grownMiB = Math.round((peak - before) / 2 ** 20);
process.stdout.write(JSON.stringify({ size, same: hash.digest("hex") === body.sha256, grownMiB }));
