/**
 * Moves bodies through an archive and says how far this process grew over what it was at rest: many slow readers who take a piece each
 * and no more, then one big body up and down. `<folder>` → one line of JSON on stdout.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { createLogger } from "../../../core/runtime/logger.js";
import type { Archive, ArchivePlace, Seal } from "../../../sidecar/registry/archive/archive.js";
import { openArchive } from "../../../sidecar/registry/archive/file-archive.js";

const MIB = 2 ** 20;
const CHUNK_BYTES = 2 * MIB;
const BIG_BYTES = 256 * MIB;
const SLOW_READERS = 40;

const readMib = (key: string) =>
  Number(new RegExp(`^${key}:\\s+(\\d+) kB$`, "m").exec(readFileSync("/proc/self/status", "utf8"))![1]) / 1024;

async function growthMib(work: () => Promise<void>): Promise<number> {
  writeFileSync("/proc/self/clear_refs", "5");
  const before = readMib("VmRSS");
  await work();
  return readMib("VmHWM") - before;
}

async function store(archive: Archive, place: ArchivePlace, bytes: number): Promise<Seal> {
  const incoming = await archive.receive();
  for (let left = bytes; left > 0; left -= CHUNK_BYTES) {
    await incoming.write(Buffer.allocUnsafeSlow(Math.min(left, CHUNK_BYTES)).fill(left % 251));
  }
  const seal = await incoming.seal();
  await archive.remove(place);
  await incoming.keep(place);
  return seal;
}

const archive = await openArchive({
  dir: process.argv[2]!,
  logger: createLogger({ level: "silent", format: "json", process: "test" }),
});
const place = { folder: "1-foo", file: "v000001.data" };
const warm = await store(archive, place, 32 * MIB);
for await (const _piece of (await archive.open(place, warm, { chunkBytes: CHUNK_BYTES })).stream);

const slow = await growthMib(async () => {
  const streams = [];
  for (let reader = 0; reader < SLOW_READERS; reader++) {
    const { stream } = await archive.open(place, warm, { chunkBytes: CHUNK_BYTES / 8 });
    await stream[Symbol.asyncIterator]().next();
    streams.push(stream);
  }
  for (const stream of streams) stream.destroy();
});
let seal: Seal | undefined;
const up = await growthMib(async () => {
  seal = await store(archive, place, BIG_BYTES);
});
const down = await growthMib(async () => {
  for await (const _piece of (await archive.open(place, seal!, { chunkBytes: CHUNK_BYTES })).stream);
});
await archive.close();
process.stdout.write(`${JSON.stringify({ slow, up, down })}\n`);
