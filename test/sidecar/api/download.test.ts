/** Results as downloads: whole, in parts, and never damaged. */
import { createHash, randomBytes } from "node:crypto";
import { readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import t, { type Test } from "tap";
import { storeBytes } from "../../../sidecar/tasks/store.js";
import { sampleAnswer, sampleTask, succeeded } from "../../contract/task-samples.js";
import { startApp } from "./app-rig.js";

const SIZE = 300_000;

async function startWithResult(t: Test, bytes: Buffer) {
  const app = await startApp(t);
  const task = sampleTask();
  const { uuid } = task;
  await app.store.insert(task);
  await app.store.claim("gazetteer", ["interactive"], 0);
  const body = await storeBytes(app.blobs, bytes);
  await app.store.finish(uuid, 1, succeeded({ ...sampleAnswer(), body }));
  const etag = `"${createHash("sha256").update(bytes).digest("hex")}"`;
  const get = async (headers: Record<string, string> = {}, method: "GET" | "HEAD" = "GET") => {
    const answer = await app.call(method, `/tasks/${uuid}?download=true`, { headers });
    return { status: answer.status, headers: answer.headers, bytes: await collect(answer.body) };
  };
  return { ...app, uuid, etag, get };
}

for (const [name, bytes] of [
  ["a file", randomBytes(SIZE)],
  ["a row", randomBytes(500)],
] as const) {
  t.test(`parts of a result in ${name} fit together, and each says where it belongs`, async (t) => {
    const { get, etag } = await startWithResult(t, bytes);
    const half = Math.floor(bytes.length / 2);
    const first = await get({ range: `bytes=0-${half - 1}` });
    const rest = await get({ range: `bytes=${half}-`, "if-range": etag });
    t.match(first, {
      status: 206,
      headers: { etag, "accept-ranges": "bytes", "content-range": `bytes 0-${half - 1}/${bytes.length}` },
    });
    t.match(rest, {
      status: 206,
      headers: { "content-range": `bytes ${half}-${bytes.length - 1}/${bytes.length}`, "x-task-status": "succeeded" },
    });
    t.equal(rest.headers["content-length"], String(bytes.length - half));
    t.ok(Buffer.concat([first.bytes, rest.bytes]).equals(bytes));
    t.ok((await get({ range: "bytes=-7" })).bytes.equals(bytes.subarray(-7)));
  });
}

t.test("without a range, with several, or with another result's tag the whole comes", async (t) => {
  const bytes = randomBytes(SIZE);
  const { get, etag } = await startWithResult(t, bytes);
  for (const headers of [{}, { range: "bytes=0-1,4-5" }, { range: "bytes=0-1", "if-range": '"other"' }]) {
    const whole = await get(headers as Record<string, string>);
    t.match(whole, { status: 200, headers: { etag, "accept-ranges": "bytes", "content-length": String(SIZE) } });
    t.ok(whole.bytes.equals(bytes));
    t.notOk("content-range" in whole.headers);
  }
});

t.test(
  "a range beyond the end is 416 with the size, what is there already 304, and HEAD is the head alone",
  async (t) => {
    const { get, etag, uuid } = await startWithResult(t, randomBytes(SIZE));
    const beyond = await get({ range: `bytes=${SIZE}-` });
    t.match(beyond, { status: 416, headers: { "content-range": `bytes */${SIZE}` } });
    t.match(JSON.parse(beyond.bytes.toString()), { source: "sluice", error: { code: "RANGE_NOT_SATISFIABLE" } });
    const known = await get({ "if-none-match": `"x", ${etag}` });
    t.match(known, { status: 304, headers: { etag } });
    t.equal(known.bytes.length, 0);
    const head = await get({ range: "bytes=0-5" }, "HEAD");
    t.match(head, {
      status: 200,
      headers: {
        etag,
        "accept-ranges": "bytes",
        "content-length": String(SIZE),
        "content-disposition": `attachment; filename=${uuid}_results.json`,
      },
    });
    t.equal(head.bytes.length, 0);
  },
);

t.test("a damaged result is reported, never served: neither whole nor a part that is sound itself", async (t) => {
  const bytes = randomBytes(SIZE);
  const { get, dataDir } = await startWithResult(t, bytes);
  t.match(await get({ range: "bytes=0-9" }), { status: 206 }, "verified once");
  const file = join(dataDir, "results", readdirSync(join(dataDir, "results"))[0]!);
  const before = statSync(file);
  const damaged = Buffer.from(bytes);
  damaged[SIZE - 1]! ^= 1;
  writeFileSync(file, damaged);
  // Not even a writer that puts the time back goes unnoticed: the inode's own time stays.
  utimesSync(file, before.atime, before.mtime);
  for (const headers of [{ range: "bytes=0-9" }, {}, { range: "bytes=0-9" }] as Record<string, string>[]) {
    const answer = await get(headers);
    t.equal(answer.status, 500);
    t.match(JSON.parse(answer.bytes.toString()), { error: { code: "RESULT_DAMAGED" } });
    t.notOk("etag" in answer.headers);
  }
});

t.test("many parts of one big result read it whole only once", async (t) => {
  const { get, blobs, store, uuid } = await startWithResult(t, randomBytes(64 * 2 ** 20));
  await get({ range: "bytes=0-0" });
  const readBefore = readBytes();
  const parts = await Promise.all(
    Array.from({ length: 50 }, (_, at) => get({ range: `bytes=${at * 1_000}-${at * 1_000 + 9}` })),
  );
  t.ok(parts.every(({ status, bytes }) => status === 206 && bytes.length === 10));
  const read = readBytes() - readBefore;
  t.ok(read < 64 * 2 ** 20, `${read} bytes were read for 50 parts`);
  const body = store.get(uuid)!.answer!.body;
  const before = readBytes();
  (await blobs.open(body, { verify: true })).on("error", () => undefined).resume();
  t.ok(readBytes() - before >= 64 * 2 ** 20, "while the whole is read through each time");
});

async function collect(body: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Bytes this process has read so far, from disk or cache. */
function readBytes(): number {
  return Number(/^rchar: (\d+)$/m.exec(String(readFileSync("/proc/self/io")))![1]);
}
