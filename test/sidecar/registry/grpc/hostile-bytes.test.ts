import { randomBytes } from "node:crypto";
import type { ClientHttp2Stream, OutgoingHttpHeaders } from "node:http2";
import t from "tap";
import { bytes, fixed64, int } from "../../../helpers/protobuf.js";
import { framed, openCall, openSession, statusOf } from "../../../helpers/raw-registry.js";
import { startRegistry } from "../grpc-rig.js";

const SERVICE = "/cogmentAPI.ModelRegistrySP/";
const METHODS = [
  "CreateOrUpdateModel",
  "DeleteModel",
  "RetrieveModels",
  "CreateVersion",
  "RetrieveVersionInfos",
  "RetrieveVersionData",
  "VersionUpdate",
  "Version",
  "Status",
];
const REFLECTION = ["v1", "v1alpha"].map(
  (version) => `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`,
);

/** Something like a protobuf message, often broken. */
function noise(): Buffer {
  const parts: Buffer[] = [];
  for (let i = Math.floor(Math.random() * 6); i >= 0; i--) {
    const field = 1 + Math.floor(Math.random() * 8);
    const kind = Math.floor(Math.random() * 6);
    if (kind === 0) parts.push(bytes(field, randomBytes(Math.floor(Math.random() * 40))));
    else if (kind === 1) parts.push(int(field, -Math.floor(Math.random() * 2 ** 31)));
    else if (kind === 2) parts.push(fixed64(field, 2n ** 64n - 1n));
    else if (kind === 3) parts.push(bytes(field, bytes(1, "foo"), bytes(field, randomBytes(10))));
    else if (kind === 4) parts.push(Buffer.from([(field << 3) | Math.floor(Math.random() * 8)]));
    else parts.push(randomBytes(Math.floor(Math.random() * 20)));
  }
  return Buffer.concat(parts);
}

t.test("random bytes for every call end with a status, and the next client is served", async (t) => {
  const { client } = await startRegistry(t, { reflection: true });
  await client.createModel("foo");
  // By chance the noise may spell a request about foo, even its deletion; it never spells this one.
  await client.createModel("witness");
  await client.createVersion({ model_id: "witness", archived: true }, "x");
  const known = new Set<string>();
  for (const path of [...METHODS.map((name) => SERVICE + name), ...REFLECTION]) {
    for (let round = 0; round < 8; round++) {
      const calls = Array.from({ length: 25 }, async () => {
        const messages = Array.from({ length: path.endsWith("CreateVersion") ? 4 : 1 }, noise);
        const ending = await client.raw(path, messages, { deadlineMs: 400 });
        known.add(ending.code);
      });
      await Promise.all(calls);
    }
    t.equal((await client.data("witness", 1)).toString(), "x", `served after ${path}`);
  }
  t.notOk(known.has("UNKNOWN"), "every status is one of the contract");
});

t.test("deep nesting, long lists and broken frames do no harm", async (t) => {
  const { client, server } = await startRegistry(t, { reflection: true });
  await client.createModel("foo");
  const session = openSession(t, server.port);
  const send = (path: string, content: Buffer, headers: OutgoingHttpHeaders = {}) => {
    const stream = openCall(session, path, headers);
    stream.resume();
    stream.end(content);
    return statusOf(stream);
  };
  const infos = `${SERVICE}RetrieveVersionInfos`;
  t.equal(await send(infos, framed(Buffer.alloc(2 ** 22, 0x7b))), "13", "groups in groups");
  t.equal(await send(infos, framed(Buffer.alloc(10), { length: 2 ** 32 - 1 })), "8", "a length of 4 GiB");
  t.equal(
    await send(infos, framed(bytes(1, "foo"), { flag: 1 }), { "grpc-encoding": "gzip" }),
    "13",
    "no gzip in gzip",
  );
  t.equal(await send(infos, framed(bytes(1, "foo"), { flag: 1 }), { "grpc-encoding": "zip" }), "12", "unknown packing");
  t.equal(await send(infos, Buffer.concat([framed(bytes(1, "foo")), framed(bytes(1, "foo"))])), "12", "two requests");
  t.equal(await send(infos, Buffer.alloc(0)), "12", "no request");
  t.equal(await send(infos, Buffer.from([0, 0])), "12", "half a frame");
  t.equal(await send(infos, framed(bytes(1, "foo")), { "content-type": "text/plain" }), "415");
  t.equal(await send(infos, framed(bytes(1, "foo")), { "grpc-timeout": "soon" }), "13");
  t.equal(await send(infos, framed(bytes(1, "foo")), { "grpc-timeout": "5S" }), "0");
  const many = bytes(2, Buffer.alloc(2 ** 21, 1));
  t.match(await send(infos, framed(Buffer.concat([bytes(1, "foo"), many]))), "5", "two million numbers of no version");
  t.equal((await client.ending("Version")).code, "OK");
});

t.test("the same version asked for a million times over is not answered from memory without end", async (t) => {
  const { client } = await startRegistry(t, { limits: { maxReplyBytes: 2 ** 20 } });
  await client.createModel("foo");
  await client.createVersion({ model_id: "foo", archived: true }, "x");
  const { code, details } = await client.ending("RetrieveVersionInfos", {
    model_id: "foo",
    version_numbers: Array.from({ length: 1_000_000 }, () => 1),
  });
  t.equal(code, "RESOURCE_EXHAUSTED");
  t.match(details, "in pages");
  t.equal((await client.ending("RetrieveVersionInfos", { model_id: "foo" })).code, "OK", "its memory is free again");
});

t.test("an endless upload is stopped at the first excess byte, while it goes on arriving", async (t) => {
  const { client, server } = await startRegistry(t);
  await client.createModel("foo");
  const stream = openCall(openSession(t, server.port), "CreateVersion");
  stream.resume();
  const versionInfo = Buffer.concat([bytes(1, "foo"), int(4, 1), fixed64(6, 1_000_000n)]);
  stream.write(framed(bytes(1, bytes(1, versionInfo))));
  const status = new Promise<Record<string, unknown>>((resolve) => {
    stream.once("response", (fields) => resolve(fields));
  });
  const sent = await sendWithoutEnd(stream, status);
  const { "grpc-status": code, "grpc-message": words } = await status;
  t.equal(Number(code), 3);
  t.match(decodeURIComponent(String(words)), "expected 1000000 bytes, received 1048576 bytes");
  t.ok(sent < 32 * 2 ** 20, `${sent} bytes were sent until then`);
  t.equal(server.open.calls, 0);
  t.equal((await client.createVersion({ model_id: "foo" }, "x")).version_number, 1);
});

/** @returns the bytes written until the status came */
async function sendWithoutEnd(stream: ClientHttp2Stream, status: Promise<unknown>): Promise<number> {
  const piece = framed(bytes(2, bytes(1, Buffer.alloc(65_536))));
  let isOver = false;
  void status.then(() => {
    isOver = true;
  });
  let sent = 0;
  while (!isOver && !stream.destroyed) {
    sent += piece.length;
    if (!stream.write(piece)) await Promise.race([status, new Promise((resolve) => stream.once("drain", resolve))]);
    await new Promise(setImmediate);
  }
  return sent;
}
