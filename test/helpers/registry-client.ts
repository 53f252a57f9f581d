/** A client of the model registry's gRPC, with its messages as objects or as bare bytes. */
import { fileURLToPath } from "node:url";
import { Client, type ClientOptions, credentials, type ServiceError, status } from "@grpc/grpc-js";
import { loadSync, type MethodDefinition } from "@grpc/proto-loader";
import type { Teardown } from "./gazetteer.js";

export interface ModelInfo {
  model_id: string;
  user_data: Record<string, string>;
}

export interface VersionInfo {
  model_id: string;
  version_number: number;
  creation_timestamp: string;
  archived: boolean;
  data_hash: string;
  data_size: string;
  user_data: Record<string, string>;
}

/** How a call ended: the status by its name, and its words. */
export interface Ending {
  readonly code: string;
  readonly details: string;
}

/** What a call that was not answered with OK throws. */
export class CallFailed extends Error implements Ending {
  readonly code: string;
  readonly details: string;

  constructor(error: ServiceError) {
    super(`${status[error.code]}: ${error.details}`);
    this.code = status[error.code]!;
    this.details = error.details;
  }
}

// biome-ignore lint/suspicious/noExplicitAny: any message of the nine calls
type Message = any;
type Method = MethodDefinition<object, object>;

const PROTO = fileURLToPath(new URL("../../sidecar/registry/model-registry.proto", import.meta.url));
const methods = loadSync(PROTO, { keepCase: true, longs: String, defaults: true, oneofs: true })[
  "cogmentAPI.ModelRegistrySP"
] as unknown as Record<string, Method>;

const asIs = (bytes: Buffer) => bytes;

export class RegistryClient {
  readonly client: Client;

  constructor(address: { host?: string; port: number }, options: ClientOptions = {}) {
    // Each has a connection of its own.
    this.client = new Client(`${address.host ?? "127.0.0.1"}:${address.port}`, credentials.createInsecure(), {
      "grpc.use_local_subchannel_pool": 1,
      ...options,
    });
  }

  close(): void {
    this.client.close();
  }

  /** One of the calls with one request and one reply. */
  call(name: string, request: object = {}, options: { deadline?: number } = {}): Promise<Message> {
    const { path, requestSerialize, responseDeserialize } = methods[name]!;
    return new Promise((resolve, reject) => {
      this.client.makeUnaryRequest(path, requestSerialize, responseDeserialize, request, options, (error, reply) =>
        error === null ? resolve(reply) : reject(new CallFailed(error)),
      );
    });
  }

  /** How such a call ends. */
  async ending(name: string, request: object = {}): Promise<Ending> {
    try {
      await this.call(name, request);
      return { code: "OK", details: "" };
    } catch (error) {
      const { code, details } = error as CallFailed;
      return { code, details };
    }
  }

  createModel(modelId: string, userData: Record<string, string> = {}): Promise<void> {
    return this.call("CreateOrUpdateModel", { model_info: { model_id: modelId, user_data: userData } });
  }

  /** A stream of CreateVersion to write messages to. */
  openUpload() {
    const { path, requestSerialize, responseDeserialize } = methods.CreateVersion!;
    let settle!: { resolve(info: VersionInfo): void; reject(error: Error): void };
    const reply = new Promise<VersionInfo>((resolve, reject) => {
      settle = { resolve, reject };
    });
    reply.catch(() => {});
    const call = this.client.makeClientStreamRequest(path, requestSerialize, responseDeserialize, (error, answer) =>
      error === null ? settle.resolve((answer as Message).version_info) : settle.reject(new CallFailed(error)),
    );
    return { call, reply };
  }

  /** Sends these messages as they are, waiting for room. */
  uploadMessages(messages: readonly object[]): Promise<VersionInfo> {
    const { call, reply } = this.openUpload();
    void (async () => {
      for (const message of messages) {
        if (!call.write(message)) await new Promise((resolve) => call.once("drain", resolve));
      }
      call.end();
    })();
    return reply;
  }

  createVersion(header: Partial<VersionInfo>, ...chunks: readonly (Uint8Array | string)[]): Promise<VersionInfo> {
    const pieces = chunks.map((chunk) => Buffer.from(chunk as Uint8Array));
    const size = pieces.reduce((sum, { length }) => sum + length, 0);
    return this.uploadMessages([
      { header: { version_info: { data_size: `${size}`, ...header } } },
      ...pieces.map((data_chunk) => ({ body: { data_chunk } })),
    ]);
  }

  /** The pieces of a version's bytes. */
  async pieces(modelId: string, versionNumber: number): Promise<Buffer[]> {
    const pieces: Buffer[] = [];
    for await (const { data_chunk } of this.stream("RetrieveVersionData", {
      model_id: modelId,
      version_number: versionNumber,
    })) {
      pieces.push(data_chunk);
    }
    return pieces;
  }

  async data(modelId: string, versionNumber: number): Promise<Buffer> {
    return Buffer.concat(await this.pieces(modelId, versionNumber));
  }

  watch(modelId: string): Watch {
    return new Watch(this.openStream("VersionUpdate", { model_id: modelId }));
  }

  openStream(name: string, request: object) {
    const { path, requestSerialize, responseDeserialize } = methods[name]!;
    return this.client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, request);
  }

  async *stream(name: string, request: object): AsyncGenerator<Message> {
    try {
      yield* this.openStream(name, request);
    } catch (error) {
      throw new CallFailed(error as ServiceError);
    }
  }

  /** Sends bare bytes as messages, to any path; every call is a stream for this. */
  raw(
    path: string,
    messages: readonly Buffer[],
    { deadlineMs = 30_000 }: { deadlineMs?: number } = {},
  ): Promise<Ending & { replies: Buffer[] }> {
    const call = this.client.makeBidiStreamRequest(path, asIs, asIs, { deadline: Date.now() + deadlineMs });
    const replies: Buffer[] = [];
    call.on("data", (bytes: Buffer) => replies.push(bytes));
    call.on("error", () => {});
    for (const message of messages) call.write(message);
    call.end();
    return new Promise((resolve) => {
      call.on("status", ({ code, details }) => resolve({ replies, code: status[code]!, details }));
    });
  }
}

/** What a VersionUpdate stream says, in order. */
export class Watch {
  readonly ended: Promise<Ending>;
  readonly seen: VersionInfo[] = [];
  #told: () => void = () => {};

  constructor(readonly call: ReturnType<RegistryClient["openStream"]>) {
    call.on("data", ({ version_info }: { version_info: VersionInfo }) => {
      this.seen.push(version_info);
      this.#told();
    });
    call.on("error", () => {});
    this.ended = new Promise((resolve) => {
      call.on("status", ({ code, details }) => {
        resolve({ code: status[code]!, details });
        this.#told();
      });
    });
  }

  get numbers(): number[] {
    return this.seen.map(({ version_number }) => version_number);
  }

  /** Resolves once that number, or a greater one, was announced. */
  async until(versionNumber: number): Promise<void> {
    while ((this.seen.at(-1)?.version_number ?? 0) < versionNumber) {
      await new Promise<void>((resolve) => {
        this.#told = resolve;
      });
    }
  }

  cancel(): void {
    this.call.cancel();
  }
}

export function connectRegistry(t: Teardown, address: { host?: string; port: number }, options: ClientOptions = {}) {
  const client = new RegistryClient(address, options);
  t.teardown(() => client.close());
  return client;
}
