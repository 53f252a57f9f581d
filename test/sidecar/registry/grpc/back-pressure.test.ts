import t from "tap";
import { systemClock } from "../../../../core/runtime/clock.js";
import { startRegistryServer } from "../../../../sidecar/registry/grpc.js";
import type { Registry } from "../../../../sidecar/registry/registry.js";
import { bytes, fixed64, int } from "../../../helpers/protobuf.js";
import { framed, openCall, openSession, statusOf } from "../../../helpers/raw-registry.js";
import { openRig, quiet } from "../local-rig.js";

const PIECE_BYTES = 65_536;
const PIECES = 64;

/** The same registry, on a disk that takes a byte only when told to. */
function slowed(registry: Registry, mayWrite: Promise<void>): Registry {
  return new Proxy(registry, {
    get(target, name: keyof Registry) {
      const member = target[name];
      if (name !== "create") return typeof member === "function" ? member.bind(target) : member;
      const create: Registry["create"] = async (header) => {
        const upload = await target.create(header);
        const write = upload.write.bind(upload);
        upload.write = async (chunk) => {
          await mayWrite;
          return write(chunk);
        };
        return upload;
      };
      return create;
    },
  });
}

t.test("what the disk does not take yet stays with the client, but for a message or two", async (t) => {
  const { registry } = await openRig(t);
  await registry.putModel({ modelId: "foo", userData: {} });
  let goOn = () => {};
  const mayWrite = new Promise<void>((resolve) => {
    goOn = resolve;
  });
  const server = await startRegistryServer({
    registry: slowed(registry, mayWrite),
    host: "127.0.0.1",
    port: 0,
    settings: { reflection: false, sentVersionChunkBytes: 2 ** 20 },
    logger: quiet,
    clock: systemClock,
  });
  t.teardown(() => server.stop(0));
  const call = openCall(openSession(t, server.port), "CreateVersion");
  const status = statusOf(call);
  call.resume();
  const info = Buffer.concat([bytes(1, "foo"), int(4, 1), fixed64(6, BigInt(PIECE_BYTES * PIECES))]);
  call.write(framed(bytes(1, bytes(1, info))));
  const piece = framed(bytes(2, bytes(1, Buffer.alloc(PIECE_BYTES))));
  let taken = 0;
  // One by one: what is written at once is told of at once.
  const sent = (async () => {
    for (; taken < PIECES; taken++) await new Promise((resolve) => call.write(piece, resolve));
    call.end();
  })();
  // Until nothing moves any more.
  for (let before = -1; before !== taken; ) {
    before = taken;
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
  t.ok(taken <= 4, `${taken} messages of ${PIECES} were taken`);
  goOn();
  await sent;
  t.equal(await status, "0");
  t.equal(registry.latest("foo")?.dataBytes, PIECE_BYTES * PIECES);
});
