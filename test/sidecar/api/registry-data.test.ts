/** Versions over HTTP: down in whole and in parts, up in one go and in pieces, with every break on the way. */
import { once } from "node:events";
import { chmodSync, readdirSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import t, { type Test } from "tap";
import { base64, bytesOf, sha256, someBytes, startRegistryApi } from "./registry-rig.js";

const M = "/registry/models/m";
const DATA = `${M}/versions/1/data`;

async function withVersion(t: Test, bytes: Buffer) {
  const api = await startRegistryApi(t);
  await api.post(`${M}/versions?create=true`, bytes);
  const get = async (headers: Record<string, string> = {}, method: "GET" | "HEAD" = "GET", path = DATA) => {
    const answer = await api.call(method, path, { headers });
    return { status: answer.status, headers: answer.headers, bytes: await bytesOf(answer.body) };
  };
  return { ...api, get, etag: `"${sha256(bytes)}"` };
}

t.test("a version comes whole, with its hash in ETag and Repr-Digest and its number in Content-Location", async (t) => {
  const bytes = someBytes(600_000);
  const { get, etag } = await withVersion(t, bytes);
  const whole = await get({}, "GET", `${M}/versions/latest/data`);
  t.match(whole, {
    status: 200,
    headers: {
      etag,
      "repr-digest": `sha-256=:${base64(bytes)}:`,
      "content-length": String(bytes.length),
      "content-location": DATA,
      "content-disposition": "attachment; filename*=UTF-8''m-v1.data",
      "accept-ranges": "bytes",
      "cache-control": "no-cache",
    },
  });
  t.ok(whole.bytes.equals(bytes));
  const head = await get({ range: "bytes=0-5" }, "HEAD");
  t.match(head, { status: 200, headers: { etag, "content-length": String(bytes.length) } });
  t.equal(head.bytes.length, 0);
});

t.test("parts fit together, a changed version comes whole, and what is known already does not come", async (t) => {
  const bytes = someBytes(600_000);
  const { get, etag } = await withVersion(t, bytes);
  const first = await get({ range: "bytes=0-99999" });
  t.match(first, { status: 206, headers: { "content-range": "bytes 0-99999/600000", "content-length": "100000" } });
  const rest = await get({ range: "bytes=100000-", "if-range": etag });
  t.equal(rest.status, 206);
  t.ok(Buffer.concat([first.bytes, rest.bytes]).equals(bytes));
  t.ok((await get({ range: "bytes=-7" })).bytes.equals(bytes.subarray(-7)));
  for (const headers of [{ range: "bytes=0-1,5-6" }, { range: "bytes=0-1", "if-range": '"other"' }, { range: "x" }]) {
    const whole = await get(headers as Record<string, string>);
    t.equal(whole.status, 200);
    t.ok(whole.bytes.equals(bytes));
  }
  const beyond = await get({ range: "bytes=600000-" });
  t.match(beyond, { status: 416, headers: { "content-range": "bytes */600000" } });
  t.match(beyond.bytes.toString(), "RANGE_NOT_SATISFIABLE");
  for (const method of ["GET", "HEAD"] as const) {
    const known = await get({ "if-none-match": `W/${etag}` }, method);
    t.match(known, { status: 304, headers: { etag } });
    t.equal(known.bytes.length, 0);
  }
});

t.test("a version without bytes has a hash and an end", async (t) => {
  const { get } = await withVersion(t, Buffer.alloc(0));
  t.match(await get(), { status: 200, headers: { "content-length": "0", etag: `"${sha256(Buffer.alloc(0))}"` } });
  t.equal((await get({ range: "bytes=0-" })).status, 416);
});

/** The first byte of the only version there is another one now. */
function damage(archiveDir: string, bytes: Buffer): void {
  const folder = readdirSync(archiveDir).find((name) => name.endsWith("-m"))!;
  const file = join(archiveDir, folder, readdirSync(join(archiveDir, folder))[0]!);
  chmodSync(file, 0o600);
  writeFileSync(file, Buffer.concat([Buffer.from("?"), bytes.subarray(1)]));
}

t.test(
  "a damaged version that is told before its first byte is told in words, under no head of its bytes",
  async (t) => {
    const bytes = someBytes(5);
    const { call, archiveDir } = await withVersion(t, bytes);
    damage(archiveDir, bytes);
    const { status, headers, body } = await call("GET", DATA);
    t.equal(status, 500);
    t.match(headers["content-type"], /^application\/json/);
    for (const name of ["etag", "repr-digest", "content-disposition", "content-location", "accept-ranges"]) {
      t.notOk(name in headers, name);
    }
    t.match(await body.json(), { error: { code: "VERSION_DAMAGED" } });
  },
);

t.test("a damaged version never comes whole, and a part of it not at all", async (t) => {
  const bytes = someBytes(600_000);
  const { call, archiveDir } = await withVersion(t, bytes);
  damage(archiveDir, bytes);
  const { status, body } = await call("GET", DATA);
  const cut = await bytesOf(body).then(
    () => null,
    (caught: unknown) => caught,
  );
  t.ok(status === 500 || cut !== null, "the answer is cut");
  const part = await call("GET", DATA, { headers: { range: "bytes=5-9" } });
  t.equal(part.status, 500);
  t.match(await part.body.json(), { error: { code: "VERSION_DAMAGED" } });
});

t.test("a download that was begun goes on when the version is deleted", async (t) => {
  const bytes = someBytes(8_000_000);
  const { call, ask } = await withVersion(t, bytes);
  const { body } = await call("GET", DATA);
  t.equal((await ask("DELETE", `${M}/versions/1`)).status, 204);
  t.ok((await bytesOf(body)).equals(bytes));
  t.match(await ask("GET", DATA), { status: 404, json: { error: { code: "REGISTRY_VERSION_UNKNOWN" } } });
});

t.test("so many downloads go on at a time, and a place is free when one has ended", async (t) => {
  const { call, ask, get } = await withVersion(t, someBytes(2_000_000));
  const bodies = (await Promise.all(Array.from({ length: 64 }, () => call("GET", DATA)))).map(({ body }) => body);
  t.match(await ask("GET", DATA), { status: 503, json: { error: { code: "REGISTRY_BUSY" } } });
  t.equal((await get({}, "HEAD")).status, 200, "a look takes no place");
  for (const body of bodies) t.equal((await bytesOf(body)).length, 2_000_000);
  t.equal((await get()).status, 200);
});

t.test("who reads nothing is let go", async (t) => {
  const bytes = someBytes(8_000_000);
  const { registry, socketPath, post } = await startRegistryApi(t, { idleMs: 100 });
  await post(`${M}/versions?create=true`, bytes);
  const socket = connect(socketPath);
  t.teardown(() => socket.destroy());
  socket.write(`GET ${DATA} HTTP/1.1\r\nhost: x\r\n\r\n`);
  await once(socket, "readable");
  socket.pause();
  await new Promise((resolve) => setTimeout(resolve, 400));
  let received = 0;
  socket.on("data", (chunk) => (received += chunk.length)).resume();
  await once(socket, "close");
  t.ok(received < bytes.length, `${received} bytes came`);
  t.equal(registry.latest("m")?.versionNumber, 1);
});

t.test("a digest and a length that do not fit are refused, and use no number", async (t) => {
  const { post, ask } = await withVersion(t, Buffer.from("1"));
  const bytes = someBytes(1_000);
  const digest = (hash: string) => ({ "repr-digest": `sha-512=:abc=:, sha-256=:${hash}:` });
  const wrong = await post(`${M}/versions`, bytes, digest(base64(Buffer.from("other"))));
  t.match(wrong, { status: 400, json: { error: { code: "VERSION_REJECTED" } } });
  t.match(await post(`${M}/versions`, bytes, digest("nothing")), {
    status: 400,
    json: { error: { code: "INVALID_HEADER" } },
  });
  const contradiction = await post(`${M}/versions`, bytes, { "upload-length": "999" });
  t.match(contradiction, { status: 400, json: { error: { code: "INVALID_HEADER" } } });
  const chunked = { body: (await import("node:stream")).Readable.from([bytes.subarray(0, 400), bytes.subarray(400)]) };
  t.match(await ask("POST", `${M}/versions`, chunked), { status: 411, json: { error: { code: "LENGTH_REQUIRED" } } });
  for (const length of ["999", "1001"]) {
    const { Readable } = await import("node:stream");
    const short = { headers: { "upload-length": length }, body: Readable.from([bytes]) };
    t.match(
      await ask("POST", `${M}/versions`, short),
      { status: 400, json: { error: { code: "VERSION_REJECTED" } } },
      length,
    );
  }
  const good = await post(`${M}/versions`, bytes, digest(base64(bytes)));
  t.match(good, { status: 201, json: { version_number: 2 } });
});

t.test("a version above registry.max_version_size is refused before its bytes are read", async (t) => {
  const { begin, registry, socketPath } = await startRegistryApi(t, { settings: { maxVersionBytes: 1_000 } });
  await registry.putModel({ modelId: "m", userData: {} });
  const socket = connect(socketPath);
  t.teardown(() => socket.destroy());
  socket.write(`POST ${M}/versions HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000000000\r\n\r\nbegun`);
  const [answer] = (await once(socket, "data")) as [Buffer];
  t.match(answer.toString(), /^HTTP\/1\.1 413 /);
  t.match(answer.toString(), "VERSION_TOO_LARGE");
  t.match(await begin("m", { data_bytes: 1_001 }), { status: 413, json: { error: { code: "VERSION_TOO_LARGE" } } });
});

t.test("an upload that breaks off or falls silent leaves nothing", async (t) => {
  const { registry, socketPath, archiveDir, ask } = await startRegistryApi(t, { idleMs: 200 });
  await registry.putModel({ modelId: "m", userData: {} });
  const head = `POST ${M}/versions HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n`;
  const cut = connect(socketPath);
  cut.write(head);
  cut.write(someBytes(400_000), () => cut.destroy());
  const silent = connect(socketPath);
  t.teardown(() => silent.destroy());
  silent.write(head);
  silent.write(someBytes(400_000));
  const [answer] = (await once(silent, "data")) as [Buffer];
  t.match(answer.toString(), /^HTTP\/1\.1 408 /);
  t.match(answer.toString(), "BODY_TIMEOUT");
  t.match(await ask("GET", `${M}/versions`), { json: { versions: [] } });
  while (readdirSync(join(archiveDir, "incoming")).length > 0) await new Promise((done) => setTimeout(done, 20));
});

t.test("a resumable upload goes on where it stands, and its last piece answers with the version", async (t) => {
  const { begin, patch, ask, call } = await startRegistryApi(t);
  const bytes = someBytes(500_000);
  const header = { data_bytes: bytes.length, sha256: sha256(bytes), user_data: { a: "b" } };
  t.match(await begin("m", header), { status: 404, json: { error: { code: "REGISTRY_MODEL_UNKNOWN" } } });
  const begun = await begin("m", header, "?create=true");
  t.match(begun, { status: 201, headers: { "upload-offset": "0", "upload-length": "500000" } });
  const location = String(begun.headers.location);
  t.match(begun.json, { upload_id: location.split("/").at(-1), model_id: "m", data_bytes: 500_000, offset: 0 });
  const first = await patch(location, 0, bytes.subarray(0, 200_000));
  t.match(first, { status: 204, headers: { "upload-offset": "200000", "cache-control": "no-store" } });
  const head = await call("HEAD", location);
  t.match(head, { status: 200, headers: { "upload-offset": "200000", "upload-length": "500000" } });
  t.match((await ask("GET", location)).json, { offset: 200_000 });
  const wrong = await patch(location, 100_000, bytes.subarray(100_000));
  t.match(wrong, {
    status: 409,
    headers: { "upload-offset": "200000" },
    json: { error: { code: "REGISTRY_UPLOAD_CONFLICT" } },
  });
  t.match(await ask("PATCH", location, { body: "x" }), { status: 400, json: { error: { code: "INVALID_HEADER" } } });
  const last = await patch(location, 200_000, bytes.subarray(200_000));
  t.match(last, {
    status: 201,
    headers: { location: `${M}/versions/1` },
    json: { version_number: 1, sha256: sha256(bytes), user_data: { a: "b" } },
  });
  t.match(await ask("GET", location), { status: 404, json: { error: { code: "REGISTRY_UPLOAD_UNKNOWN" } } });
  t.ok((await bytesOf((await call("GET", DATA)).body)).equals(bytes));
});

t.test("what came before a break is kept, and a new request takes over from one that hangs", async (t) => {
  const { begin, patch, call, socketPath } = await startRegistryApi(t);
  const bytes = someBytes(3_000_000);
  const { headers } = await begin("m", { data_bytes: bytes.length }, "?create=true");
  const location = String(headers.location);
  const head = `PATCH ${location} HTTP/1.1\r\nhost: x\r\nupload-offset: 0\r\ncontent-length: ${bytes.length}\r\n\r\n`;
  const hanging = connect(socketPath);
  t.teardown(() => hanging.destroy());
  hanging.write(head);
  hanging.write(bytes.subarray(0, 1_000_000));
  const refused = once(hanging, "data");
  let offset = 0;
  for (let conflict = 0; offset === 0; conflict++) {
    t.ok(conflict < 100, "the new request is let in");
    const probe = await patch(location, offset, Buffer.alloc(0));
    offset = Number(probe.headers["upload-offset"]);
  }
  t.ok(offset <= 1_000_000);
  t.match(((await refused)[0] as Buffer).toString(), /^HTTP\/1\.1 409 /);
  const again = connect(socketPath);
  again.write(head.replace("upload-offset: 0", `upload-offset: ${offset}`));
  again.write(bytes.subarray(offset, 2_000_000), () => again.destroy());
  await once(again, "close");
  const before = offset;
  while (offset === before) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    offset = Number((await call("HEAD", location)).headers["upload-offset"]);
  }
  const done = await patch(location, offset, bytes.subarray(offset));
  t.match(done, { status: 201, json: { sha256: sha256(bytes), data_bytes: bytes.length } });
});

t.test("an upload that brings the wrong bytes or too many is over, one given up leaves nothing", async (t) => {
  const { begin, patch, ask, archiveDir } = await startRegistryApi(t);
  const locationOf = async (header: object) => String((await begin("m", header, "?create=true")).headers.location);
  const wrong = await locationOf({ data_bytes: 3, sha256: sha256(Buffer.from("abc")) });
  t.match(await patch(wrong, 0, Buffer.from("abd")), { status: 400, json: { error: { code: "VERSION_REJECTED" } } });
  const many = await locationOf({ data_bytes: 3 });
  t.match(await patch(many, 0, Buffer.from("abcd")), { status: 400, json: { error: { code: "VERSION_REJECTED" } } });
  const unwanted = await locationOf({ data_bytes: 3 });
  t.match(await patch(unwanted, 0, Buffer.from("ab")), { status: 204 });
  t.equal((await ask("DELETE", unwanted)).status, 204);
  for (const location of [wrong, many, unwanted, "/registry/uploads/..%20", "/registry/uploads/x"]) {
    for (const method of ["GET", "DELETE"] as const) t.equal((await ask(method, location)).status, 404, location);
    t.equal((await patch(location, 0, Buffer.from("a"))).status, 404, location);
  }
  t.same(readdirSync(join(archiveDir, "incoming")), []);
  const empty = await locationOf({ data_bytes: 0 });
  t.match(await patch(empty, 0, Buffer.alloc(0)), { status: 201, json: { version_number: 1, data_bytes: 0 } });
  for (const header of [
    {},
    { data_bytes: -1 },
    { data_bytes: 1.5 },
    { data_bytes: 1, sha256: "x" },
    { data_bytes: 1, archived: false },
  ]) {
    t.equal((await begin("m", header)).status, 422, JSON.stringify(header));
  }
});

t.test("two at once get a number each", async (t) => {
  const { post, begin, patch } = await startRegistryApi(t);
  const [one, other, third] = [someBytes(300_000), someBytes(300_000), someBytes(300_000)];
  const { headers } = await begin("m", { data_bytes: third.length }, "?create=true");
  const made = await Promise.all([
    post(`${M}/versions`, one),
    post(`${M}/versions`, other),
    patch(String(headers.location), 0, third),
  ]);
  t.same(
    made.map(({ status }) => status),
    [201, 201, 201],
  );
  t.same(made.map(({ json }) => json.version_number).sort(), [1, 2, 3]);
  t.same(
    made.map(({ json }) => json.sha256),
    [one, other, third].map(sha256),
  );
});
