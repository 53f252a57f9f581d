import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import t from "tap";
import { armFailpoints } from "../../../core/runtime/failpoints.js";
import { FileBlobs } from "../../../sidecar/tasks/file-blobs.js";
import { makeFolder } from "../../helpers/folder.js";

const LIMITS = { maxBytes: 1e9, idleTimeoutMs: 5_000 };

async function* chunks(...given: Buffer[]): AsyncGenerator<Buffer> {
  yield* given;
}

async function bytesOf(stream: NodeJS.ReadableStream): Promise<Buffer> {
  const all: Buffer[] = [];
  for await (const chunk of stream) all.push(chunk as Buffer);
  return Buffer.concat(all);
}

const filesIn = (dir: string) => ["payloads", "results"].flatMap((folder) => readdirSync(join(dir, folder)));

t.test("small bodies stay inline and touch no disk, large ones become files", async (t) => {
  const dir = makeFolder(t);
  const blobs = await FileBlobs.open(dir);
  const exact = Buffer.alloc(65_536, 1);
  const small = await blobs.write("payload", chunks(exact.subarray(0, 9), exact.subarray(9)), LIMITS);
  t.match(small, { kind: "inline", bytes: exact });
  t.same(await bytesOf(await blobs.open(small, { verify: true })), exact);
  const none = await blobs.write("result", chunks(), LIMITS);
  t.same(await bytesOf(await blobs.open(none, { verify: true })), Buffer.alloc(0));
  t.same(filesIn(dir), []);

  const large = Buffer.alloc(65_537, 2);
  const body = await blobs.write("result", chunks(large.subarray(0, 65_536), large.subarray(65_536)), LIMITS);
  if (body.kind !== "blob") throw new Error("it should be a blob");
  t.equal(body.size, 65_537);
  t.same(readFileSync(join(dir, body.key)), large);
  t.equal(statSync(join(dir, body.key)).mode & 0o777, 0o600);
  t.same(await bytesOf(await blobs.open(body, { verify: true })), large);
  await blobs.remove(body.key);
  await blobs.remove(body.key);
  t.same(filesIn(dir), []);
});

t.test("a damaged, cut or missing file is reported and never served", async (t) => {
  const dir = makeFolder(t);
  const blobs = await FileBlobs.open(dir);
  const body = await blobs.write("result", chunks(Buffer.alloc(100_000, 3)), LIMITS);
  if (body.kind !== "blob") throw new Error("it should be a blob");
  const path = join(dir, body.key);
  const whole = readFileSync(path);
  const flipped = Buffer.from(whole);
  flipped[99_999]! ^= 1;
  writeFileSync(path, flipped);
  await t.rejects(blobs.open(body, { verify: true }), { code: "RESULT_DAMAGED" });
  writeFileSync(path, whole.subarray(0, 50_000));
  await t.rejects(blobs.open(body), { code: "RESULT_DAMAGED" });
  await blobs.remove(body.key);
  await t.rejects(blobs.open(body), { code: "RESULT_DAMAGED" });
  const inline = { kind: "inline", bytes: Buffer.from("x"), sha256: "0".repeat(64) } as const;
  await t.rejects(blobs.open(inline, { verify: true }), { code: "RESULT_DAMAGED" });
  await t.rejects(blobs.remove("payloads/../sluice.db"), { code: "INTERNAL" }, "no key leads out of the folders");
});

t.test("what is too large, stalls or breaks off leaves nothing behind", async (t) => {
  const dir = makeFolder(t);
  const blobs = await FileBlobs.open(dir);
  const big = Buffer.alloc(70_000, 4);
  await t.rejects(blobs.write("payload", chunks(big, big), { ...LIMITS, maxBytes: 100_000 }), {
    code: "BODY_TOO_LARGE",
  });
  async function* stalls() {
    yield big;
    await new Promise(() => {});
  }
  await t.rejects(blobs.write("payload", stalls(), { ...LIMITS, idleTimeoutMs: 50 }), { code: "BODY_TIMEOUT" });
  async function* breaks() {
    yield big;
    throw new Error("cut");
  }
  await t.rejects(blobs.write("payload", breaks(), LIMITS), { message: "cut" });
  t.same(filesIn(dir), []);
});

t.test("a full disk at any durable step is told, leaves nothing, and the next write works", async (t) => {
  t.teardown(() => armFailpoints(null));
  const dir = makeFolder(t);
  const blobs = await FileBlobs.open(dir);
  const steps = ["before_create", "before_write", "before_sync", "before_rename", "after_rename", "after_sync"];
  for (const step of steps) {
    armFailpoints(`blob.${step}=throw:ENOSPC@1`);
    await t.rejects(blobs.write("payload", chunks(Buffer.alloc(80_000)), LIMITS), { code: "ENOSPC" }, step);
    t.same(filesIn(dir), [], `${step} leaves nothing`);
    await t.resolves(blobs.probe("payload"), "and is over");
  }
});

t.test("the sweep takes what no row names and leaves the rest", async (t) => {
  const dir = makeFolder(t);
  const blobs = await FileBlobs.open(dir);
  const kept = await blobs.write("payload", chunks(Buffer.alloc(80_000)), LIMITS);
  const orphan = await blobs.write("result", chunks(Buffer.alloc(80_000)), LIMITS);
  if (kept.kind !== "blob" || orphan.kind !== "blob") throw new Error("they should be blobs");
  writeFileSync(join(dir, "payloads/12345678-aaaa-bbbb-cccc-1234567890ab.part"), "half");
  writeFileSync(join(dir, "payloads/README"), "not ours");
  t.equal(await blobs.sweep((key) => key === kept.key), 2);
  t.same(existsSync(join(dir, kept.key)), true);
  t.same(filesIn(dir).length, 2);
});

t.test("a gibibyte goes in and out in flat memory", async (t) => {
  const child = spawn(process.execPath, [fileURLToPath(new URL("./big-blob.js", import.meta.url)), makeFolder(t)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const output = bytesOf(child.stdout);
  await once(child, "exit");
  const { size, same, grownMiB } = JSON.parse((await output).toString()) as Record<string, number | boolean>;
  t.equal(size, 2 ** 30);
  t.equal(same, true);
  t.ok(Number(grownMiB) < 64, `grew by ${grownMiB} MiB`);
});

t.test("a disk that fails is named as one, at every step", async (t) => {
  const dir = makeFolder(t);
  const blobs = await FileBlobs.open(dir);
  t.teardown(() => armFailpoints(null));
  for (const step of ["blob.before_create", "blob.before_write", "blob.before_sync", "blob.after_sync"]) {
    armFailpoints(`${step}=throw:EIO`);
    await t.rejects(blobs.write("payload", chunks(Buffer.alloc(80_000)), LIMITS), { code: "STORE_FAILED" }, step);
    t.same(filesIn(dir), [], step);
  }
});
