/** The clients of the benchmark, all in one process: orders come by message, results go back. */
import { once } from "node:events";
import { Client, credentials, type ServiceError } from "@grpc/grpc-js";
import { expectBigBuffers } from "../../sidecar/registry/heap.js";
import {
  CHUNK_BYTES,
  type ClientOrder,
  type ClientResult,
  LISTED_MODEL,
  MODEL,
  type Shape,
  WATCHED_MODEL,
} from "./messages.js";
import { service } from "./wire.js";

// biome-ignore lint/suspicious/noExplicitAny: any message of the service
type Message = any;

// It shares the machine with those it measures.
expectBigBuffers();

const CONNECTIONS_OF_WATCHERS = 10;
const WARMUP_ROUNDS = 4;
const chunk = Buffer.alloc(CHUNK_BYTES, "Seen on 3 March 2021 by Dr Khan. ");
/** The last version uploaded of each size, by port. */
const uploaded = new Map<string, number>();

function connect(port: number): Client {
  return new Client(`127.0.0.1:${port}`, credentials.createInsecure(), {
    "grpc.use_local_subchannel_pool": 1,
    "grpc.max_receive_message_length": -1,
  });
}

function ask(client: Client, name: string, request: object): Promise<Message> {
  const { path, requestSerialize, responseDeserialize } = service[name]!;
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(path, requestSerialize, responseDeserialize, request, (error, reply) =>
      error === null ? resolve(reply) : reject(error),
    );
  });
}

async function upload(client: Client, bytes: number): Promise<number> {
  const { path, requestSerialize, responseDeserialize } = service.CreateVersion!;
  let fail: (error: ServiceError) => void;
  let succeed: (reply: Message) => void;
  const reply = new Promise<Message>((resolve, reject) => {
    succeed = resolve;
    fail = reject;
  });
  reply.catch(() => {});
  const call = client.makeClientStreamRequest(path, requestSerialize, responseDeserialize, (error, answer) =>
    error === null ? succeed(answer) : fail(error),
  );
  call.write({ header: { version_info: { model_id: MODEL, archived: true, data_size: `${bytes}` } } });
  for (let left = bytes; left > 0; left -= CHUNK_BYTES) {
    const piece = left >= CHUNK_BYTES ? chunk : chunk.subarray(0, left);
    if (!call.write({ body: { data_chunk: piece } })) await Promise.race([once(call, "drain"), reply]);
  }
  call.end();
  return (await reply).version_info.version_number;
}

async function download(client: Client, versionNumber: number, bytes: number): Promise<void> {
  const { path, requestSerialize, responseDeserialize } = service.RetrieveVersionData!;
  const request = { model_id: MODEL, version_number: versionNumber };
  let received = 0;
  for await (const { data_chunk } of client.makeServerStreamRequest(
    path,
    requestSerialize,
    responseDeserialize,
    request,
  ) as AsyncIterable<Message>) {
    received += data_chunk.length;
  }
  if (received !== bytes) throw new Error(`${received} bytes instead of ${bytes}`);
}

async function move(kind: "upload" | "download", port: number, { bytes, atATime, times }: Shape) {
  const clients = Array.from({ length: atATime }, () => connect(port));
  const timesMs: number[] = [];
  await ask(clients[0]!, "CreateOrUpdateModel", { model_info: { model_id: MODEL } });
  await Promise.all(clients.map((client) => new Promise((done) => client.waitForReady(Date.now() + 10_000, done))));
  const startMs = performance.now();
  await Promise.all(
    clients.map(async (client) => {
      for (let time = 0; time < times; time++) {
        const beganMs = performance.now();
        if (kind === "upload") uploaded.set(`${port}/${bytes}`, await upload(client, bytes));
        else await download(client, uploaded.get(`${port}/${bytes}`)!, bytes);
        timesMs.push(performance.now() - beganMs);
      }
    }),
  );
  const seconds = (performance.now() - startMs) / 1_000;
  for (const client of clients) client.close();
  return { seconds, count: bytes * atATime * times, timesMs };
}

async function forget(port: number) {
  const client = connect(port);
  await ask(client, "DeleteModel", { model_id: MODEL });
  client.close();
  return { seconds: 0, count: 0, timesMs: [] };
}

async function watch(port: number, watchers: number, rounds: number) {
  const clients = Array.from({ length: CONNECTIONS_OF_WATCHERS }, () => connect(port));
  const { path, requestSerialize, responseDeserialize } = service.VersionUpdate!;
  const model = { model_id: WATCHED_MODEL };
  await ask(clients[0]!, "CreateOrUpdateModel", { model_info: model });
  let seen: number[] = [];
  let allSeen = () => {};
  const calls = Array.from({ length: watchers }, (_, index) => {
    const client = clients[index % clients.length]!;
    const call = client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, model);
    call.on("error", () => {});
    call.on("data", () => {
      if (seen.push(Number(process.hrtime.bigint()) / 1e6) === watchers) allSeen();
    });
    return call;
  });
  const timesMs: number[] = [];
  const startMs = performance.now();
  // The first round is over when all have begun to watch; what is done is compiled a few rounds later.
  for (let round = -WARMUP_ROUNDS; round < rounds; round++) {
    seen = [];
    const done = new Promise<void>((resolve) => {
      allSeen = resolve;
    });
    const reply = uploadTo(clients[0]!, model.model_id);
    await Promise.all([done, reply]);
    if (round >= 0) timesMs.push(...seen);
  }
  for (const call of calls) call.cancel();
  for (const client of clients) client.close();
  return { seconds: (performance.now() - startMs) / 1_000, count: timesMs.length, timesMs };
}

function uploadTo(client: Client, modelId: string): Promise<Message> {
  const { path, requestSerialize, responseDeserialize } = service.CreateVersion!;
  return new Promise((resolve, reject) => {
    const call = client.makeClientStreamRequest(path, requestSerialize, responseDeserialize, (error, answer) =>
      error === null ? resolve(answer) : reject(error),
    );
    call.end({ header: { version_info: { model_id: modelId, archived: true } } });
  });
}

/** @param pageSize 0: all in one reply */
async function list(port: number, pageSize: number) {
  const client = connect(port);
  const timesMs: number[] = [];
  const startMs = performance.now();
  let count = 0;
  for (let handle = ""; ; ) {
    const beganMs = performance.now();
    const page = await ask(client, "RetrieveVersionInfos", {
      model_id: LISTED_MODEL,
      versions_count: pageSize,
      version_handle: handle,
    });
    timesMs.push(performance.now() - beganMs);
    count += page.version_infos.length;
    handle = page.next_version_handle;
    if (pageSize === 0 || page.version_infos.length < pageSize) break;
  }
  client.close();
  return { seconds: (performance.now() - startMs) / 1_000, count, timesMs };
}

async function obey(order: ClientOrder): Promise<ClientResult> {
  try {
    if (order.type === "forget") return { ...(await forget(order.port)), fault: null };
    if (order.type === "watch") return { ...(await watch(order.port, order.watchers, order.rounds)), fault: null };
    if (order.type === "list") return { ...(await list(order.port, order.pageSize)), fault: null };
    return { ...(await move(order.type, order.port, order.shape)), fault: null };
  } catch (caught) {
    return { seconds: Number.NaN, count: 0, timesMs: [], fault: (caught as Error).message };
  }
}

process.on("message", async (order: ClientOrder) => {
  process.send?.(await obey(order));
});
