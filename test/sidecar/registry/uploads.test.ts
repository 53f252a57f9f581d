/** Uploads in pieces, over cut connections, restarts and deletions. */
import { appendFileSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { type Clock, systemClock } from "../../../core/runtime/clock.js";
import type { Appended, Uploads } from "../../../sidecar/registry/uploads.js";
import { filesIn, hashOf, headerOf, openRig, pull, push, putModel } from "./local-rig.js";

async function* pieces(...texts: string[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield Buffer.from(text);
}

async function* cutAfter(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
  throw Object.assign(new Error("the connection is cut"), { code: "ECONNRESET" });
}

function versionOf(appended: Appended) {
  if (!("version" in appended)) throw new Error(`not complete: ${appended.state.offsetBytes} bytes`);
  return appended.version;
}

t.test("pieces make a version, and what a cut connection brought is kept", async (t) => {
  const { registry, uploads, archiveDir } = await openRig(t);
  await putModel(registry, "foo");
  const header = headerOf("foo", 10, { dataHash: hashOf("0123456789"), creationTimestamp: 7n, userData: { k: "v" } });
  const { id, offsetBytes } = await uploads.begin(header);
  t.equal(offsetBytes, 0);
  t.match(await uploads.append(id, 0, pieces("01", "2")), { state: { id, offsetBytes: 3, header } });
  await t.rejects(uploads.append(id, 3, cutAfter("34")), { code: "ECONNRESET" });
  t.equal(uploads.state(id).offsetBytes, 5);
  await t.rejects(uploads.append(id, 4, pieces("x")), { code: "REGISTRY_UPLOAD_CONFLICT" });
  t.match(await uploads.append(id, 5, pieces()), { state: { offsetBytes: 5 } });
  t.same(registry.versions("foo", { from: 0, limit: 0 }), [], "nothing is seen of it before");
  const version = versionOf(await uploads.append(id, 5, pieces("56789")));
  t.same(version, registry.version("foo", 1));
  t.match(version, { dataBytes: 10, creationTimestamp: 7n, userData: { k: "v" } });
  t.equal(await pull(registry, "foo", 1), "0123456789");
  t.throws(() => uploads.state(id), { code: "REGISTRY_UPLOAD_UNKNOWN" });
  t.same(filesIn(archiveDir), ["1-foo/v000001.data"]);
});

t.test("an upload goes on after a restart, with the bytes that were on the disk for good", async (t) => {
  const first = await openRig(t);
  await putModel(first.registry, "foo");
  const { id } = await first.uploads.begin(headerOf("foo", 6, { dataHash: hashOf("abcdef"), creationTimestamp: 1n }));
  await first.uploads.append(id, 0, pieces("abc"));
  await first.close();
  const [file] = readdirSync(join(first.archiveDir, "incoming"));
  appendFileSync(join(first.archiveDir, "incoming", file!), "what a crash left behind");
  const second = await openRig(t, { dataDir: first.dataDir });
  t.match(second.uploads.state(id), { offsetBytes: 3, header: { creationTimestamp: 1n } });
  const version = versionOf(await second.uploads.append(id, 3, pieces("def")));
  t.equal(await pull(second.registry, "foo", version.versionNumber), "abcdef");
  await second.close();
  const third = await openRig(t, { dataDir: first.dataDir });
  t.same(filesIn(third.archiveDir), ["1-foo/v000001.data"]);
});

t.test("a file that is gone or short ends its upload", async (t) => {
  const { registry, uploads, archiveDir, close, dataDir } = await openRig(t);
  await putModel(registry, "foo");
  const { id } = await uploads.begin(headerOf("foo", 6));
  await uploads.append(id, 0, pieces("abc"));
  await close();
  for (const file of readdirSync(join(archiveDir, "incoming"))) rmSync(join(archiveDir, "incoming", file));
  const second = await openRig(t, { dataDir });
  await t.rejects(second.uploads.append(id, 3, pieces("def")), { code: "REGISTRY_UPLOAD_UNKNOWN" });
  t.throws(() => second.uploads.state(id), { code: "REGISTRY_UPLOAD_UNKNOWN" });
});

t.test("bytes that are wrong end the upload, a deleted model does too, and nothing stays", async (t) => {
  const { registry, uploads, archiveDir } = await openRig(t, { settings: { maxVersionBytes: 10 } });
  const isOver = (id: string) => t.throws(() => uploads.state(id), { code: "REGISTRY_UPLOAD_UNKNOWN" });
  await t.rejects(uploads.begin(headerOf("foo", 1)), { code: "REGISTRY_MODEL_UNKNOWN" });
  await putModel(registry, "foo");
  await t.rejects(uploads.begin(headerOf("foo", 11)), { code: "VERSION_TOO_LARGE" });
  await t.rejects(uploads.begin(headerOf("foo", 1, { archived: false })), { code: "INVALID_PARAMETER" });

  const over = await uploads.begin(headerOf("foo", 3));
  await t.rejects(uploads.append(over.id, 0, pieces("ab", "cd")), { code: "VERSION_REJECTED", message: /received 4/ });
  isOver(over.id);
  const wrong = await uploads.begin(headerOf("foo", 1, { dataHash: hashOf("other") }));
  await t.rejects(uploads.append(wrong.id, 0, pieces("a")), { code: "VERSION_REJECTED", message: /hash/ });
  isOver(wrong.id);
  const cancelled = await uploads.begin(headerOf("foo", 1));
  await uploads.cancel(cancelled.id);
  isOver(cancelled.id);
  await t.rejects(uploads.cancel(cancelled.id), { code: "REGISTRY_UPLOAD_UNKNOWN" });

  const orphan = await uploads.begin(headerOf("foo", 2));
  await uploads.append(orphan.id, 0, pieces("a"));
  const late = await uploads.begin(headerOf("foo", 2));
  await uploads.append(late.id, 0, pieces("a"));
  await registry.deleteModel("foo", { force: false });
  await putModel(registry, "foo");
  await t.rejects(uploads.append(orphan.id, 1, pieces("b")), { code: "REGISTRY_MODEL_UNKNOWN" });
  isOver(orphan.id);
  await uploads.cancel(late.id);
  t.same(registry.versions("foo", { from: 0, limit: 0 }), []);
  t.same(filesIn(archiveDir), []);
});

t.test("a model deleted while the last piece arrives gets no version", async (t) => {
  const { registry, uploads, archiveDir } = await openRig(t);
  await putModel(registry, "foo");
  const { id } = await uploads.begin(headerOf("foo", 2));
  async function* last(): AsyncGenerator<Uint8Array> {
    yield Buffer.from("a");
    await registry.deleteModel("foo", { force: false });
    await putModel(registry, "foo");
    yield Buffer.from("b");
  }
  await t.rejects(uploads.append(id, 0, last()), { code: "REGISTRY_MODEL_UNKNOWN" });
  t.throws(() => uploads.state(id), { code: "REGISTRY_UPLOAD_UNKNOWN" });
  t.same(filesIn(archiveDir), []);
});

t.test("one piece at a time, and an empty version needs an empty piece", async (t) => {
  const { registry, uploads } = await openRig(t);
  await putModel(registry, "foo");
  const { id } = await uploads.begin(headerOf("foo", 2));
  let go = () => {};
  const held = new Promise<void>((resolve) => {
    go = resolve;
  });
  async function* slow(): AsyncGenerator<Uint8Array> {
    yield Buffer.from("a");
    await held;
  }
  const slowly = uploads.append(id, 0, slow());
  await t.rejects(uploads.append(id, 0, pieces("ab")), { code: "REGISTRY_UPLOAD_CONFLICT" });
  await t.rejects(uploads.cancel(id), { code: "REGISTRY_UPLOAD_CONFLICT" });
  go();
  t.match(await slowly, { state: { offsetBytes: 1 } });
  const empty = await uploads.begin(headerOf("foo", 0));
  t.match(await uploads.append(empty.id, 0, pieces()), { version: { versionNumber: 1, dataBytes: 0 } });
});

t.test("more uploads than stay open go on all the same", async (t) => {
  const { registry, uploads, archiveDir } = await openRig(t);
  await putModel(registry, "foo");
  const ids: string[] = [];
  for (let each = 0; each < 20; each++) ids.push((await uploads.begin(headerOf("foo", 2))).id);
  for (const id of ids) await uploads.append(id, 0, pieces("a"));
  const versions = await Promise.all(ids.map(async (id) => versionOf(await uploads.append(id, 1, pieces("b")))));
  t.same(new Set(versions.map(({ versionNumber }) => versionNumber)).size, 20);
  t.ok(versions.every(({ dataHash }) => dataHash === hashOf("ab")));
  t.equal(filesIn(archiveDir).length, 20);
});

t.test("an upload expires a day after its last byte, and a stop ends a piece that waits", async (t) => {
  let nowMs = 1_000_000;
  const timers: (() => void)[] = [];
  const clock: Clock = {
    ...systemClock,
    now: () => nowMs,
    after: (_delayMs, action) => {
      timers.push(action);
      return () => {};
    },
  };
  const { registry, uploads, archiveDir, close } = await openRig(t, { clock });
  await putModel(registry, "foo");
  const { id, expiresAtMs } = await uploads.begin(headerOf("foo", 3));
  t.equal(expiresAtMs, nowMs + 86_400_000);
  nowMs += 86_000_000;
  await uploads.append(id, 0, pieces("a"));
  nowMs += 86_000_000;
  t.equal(uploads.state(id).offsetBytes, 1);
  nowMs += 400_000;
  t.throws(() => uploads.state(id), { code: "REGISTRY_UPLOAD_UNKNOWN" });
  await expire(uploads, timers);
  t.same(filesIn(archiveDir), []);

  const waiting = await uploads.begin(headerOf("foo", 3));
  const never = uploads.append(waiting.id, 0, stuck("ab"));
  const ended = t.rejects(never, { code: "SHUTTING_DOWN" });
  await push(registry, "foo", "x");
  await close();
  await ended;
  const later = await openRig(t, { dataDir: join(archiveDir, ".."), clock });
  t.equal(later.uploads.state(waiting.id).offsetBytes, 2, "what it brought is kept");
});

async function* stuck(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
  await new Promise(() => {});
}

/** What the timer does, awaited. */
async function expire(uploads: Uploads, timers: (() => void)[]): Promise<void> {
  timers.length = 0;
  await (uploads as Uploads & { watchExpiry(): Promise<void> }).watchExpiry();
  if (timers.length !== 1) throw new Error("it did not go on watching");
}
