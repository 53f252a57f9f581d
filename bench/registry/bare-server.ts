/** The least that a server over grpc-js can do: it counts what comes and sends the same bytes again and again. */
import { once } from "node:events";
import {
  Server,
  ServerCredentials,
  type ServerReadableStream,
  type ServerWritableStream,
  type sendUnaryData,
} from "@grpc/grpc-js";
import { expectBigBuffers } from "../../sidecar/registry/heap.js";
import { CHUNK_BYTES } from "./messages.js";
import { serveOrders } from "./serve-orders.js";
import { service } from "./wire.js";

interface UploadMessage {
  readonly header?: { readonly version_info: { readonly data_size: string } } | null;
  readonly body?: { readonly data_chunk: Buffer } | null;
}
type Request = { readonly version_number: number };

// Whatever the registry has from V8, its peer has too.
expectBigBuffers();

/** Of each "version", in the order of their making. */
const sizes: number[] = [];
const chunk = Buffer.alloc(CHUNK_BYTES, 1);

function createVersion(call: ServerReadableStream<UploadMessage, object>, answer: sendUnaryData<object>): void {
  let bytes = 0;
  call.on("data", ({ body }: UploadMessage) => {
    bytes += body?.data_chunk.length ?? 0;
  });
  call.on("end", () => {
    const number = sizes.push(bytes);
    answer(null, { version_info: { version_number: number, data_size: `${bytes}` } });
  });
}

async function retrieveVersionData(call: ServerWritableStream<Request, object>): Promise<void> {
  for (let left = sizes[call.request.version_number - 1] ?? 0; left > 0; left -= CHUNK_BYTES) {
    const piece = left >= CHUNK_BYTES ? chunk : chunk.subarray(0, left);
    if (!call.write({ data_chunk: piece })) await once(call, "drain");
  }
  call.end();
}

const server = new Server();
server.addService(service, {
  CreateOrUpdateModel: (_call: unknown, answer: sendUnaryData<object>) => answer(null, {}),
  DeleteModel: (_call: unknown, answer: sendUnaryData<object>) => answer(null, {}),
  CreateVersion: createVersion,
  RetrieveVersionData: (call: ServerWritableStream<Request, object>) => void retrieveVersionData(call),
});
server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) => {
  if (error !== null) throw error;
  serveOrders(port);
});
