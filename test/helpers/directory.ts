/**
 * A small directory of Cogment's kind that calls back whoever registers, and can misbehave: refuse, say nothing, forget, die and come back.
 * As the real one, it keeps entries apart by their token.
 */
import { EventEmitter, once } from "node:events";
import { fileURLToPath } from "node:url";
import {
  Client,
  credentials,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
} from "@grpc/grpc-js";
import { loadSync, type ServiceDefinition } from "@grpc/proto-loader";
import type { Teardown } from "./gazetteer.js";

export interface RegisteredService {
  readonly id: string;
  readonly secret: string;
  readonly token: string;
  readonly host: string;
  readonly port: number;
  readonly type: number;
  readonly permanent: boolean;
  readonly properties: Readonly<Record<string, string>>;
  /** Whether it answered when it was called back. */
  readonly answered: boolean;
}

export interface TestDirectoryOptions {
  /** Other tokens are answered with FAILED. Default: any will do. */
  readonly token?: string;
  /** Default: a free one. */
  readonly port?: number;
  readonly probeTimeoutMs?: number;
}

type Mood = "well" | "refuses" | "hangs";
type Event = "registered" | "deregistered" | "asked" | "inquired";

interface RegisterRequest {
  readonly endpoint: { readonly host: string; readonly port: number; readonly protocol: number };
  readonly details: { readonly type: number; readonly properties: Readonly<Record<string, string>> };
  readonly permanent: boolean;
}

/** `Status` with the one name a directory asks for, as bytes: of no `.proto` of ours. */
const STATUS_REQUEST = Buffer.concat([Buffer.from([0x0a, 0x0c]), Buffer.from("overall_load")]);
const SERVICE_OF_TYPE: Readonly<Record<number, string>> = { 8: "ModelRegistrySP" };
const PROTO = fileURLToPath(new URL("../../sidecar/registry/directory/directory.proto", import.meta.url));

export class TestDirectory {
  readonly #entries = new Map<string, RegisteredService>();
  readonly #events = new EventEmitter();
  readonly #options: TestDirectoryOptions;
  #server: Server | null = null;
  #port: number;
  #made = 0;
  #mood: Mood = "well";
  /** The bytes of the requests to register. */
  readonly rawRequests: Buffer[] = [];

  private constructor(options: TestDirectoryOptions) {
    this.#options = options;
    this.#port = options.port ?? 0;
  }

  static async start(t: Teardown, options: TestDirectoryOptions = {}): Promise<TestDirectory> {
    const directory = new TestDirectory(options);
    await directory.comeBack();
    t.teardown(() => directory.die());
    return directory;
  }

  get endpoint(): string {
    return `grpc://127.0.0.1:${this.#port}`;
  }

  /** What it knows now. */
  get services(): readonly RegisteredService[] {
    return [...this.#entries.values()];
  }

  behave(mood: Mood): void {
    this.#mood = mood;
  }

  /** As after a restart without its file. */
  forget(): void {
    this.#entries.clear();
  }

  /** As after a call back that failed: nobody finds what it still knows. */
  hide(): void {
    for (const [id, entry] of this.#entries) this.#entries.set(id, { ...entry, answered: false });
  }

  /** Cuts all connections. */
  die(): void {
    this.#server?.forceShutdown();
    this.#server = null;
  }

  /** On the port it had, knowing what it knew. */
  async comeBack(): Promise<void> {
    const server = new Server();
    const service = loadSync(PROTO, { keepCase: true, longs: String, enums: Number, defaults: true })[
      "cogmentAPI.DirectorySP"
    ] as ServiceDefinition;
    const { Register } = service;
    const raw = Register!.requestDeserialize;
    server.addService(
      { ...service, Register: { ...Register!, requestDeserialize: (bytes: Buffer) => this.#keep(bytes, raw) } },
      {
        Register: (call: ServerDuplexStream<RegisterRequest, object>) =>
          this.#serve(call, (each) => this.#register(call, each)),
        Deregister: (call: ServerDuplexStream<{ service_id: string; secret: string }, object>) =>
          this.#serve(call, async (each) => this.#deregister(tokenOf(call), each)),
        Inquire: (call: ServerWritableStream<{ service_id: string }, object>) => this.#inquire(call),
      },
    );
    this.#port = await new Promise<number>((resolve, reject) => {
      server.bindAsync(`127.0.0.1:${this.#port}`, ServerCredentials.createInsecure(), (error, port) =>
        error === null ? resolve(port) : reject(error),
      );
    });
    this.#server = server;
  }

  /** Resolves at the next one, counted from the call. */
  async next(event: Event, withinMs = 20_000): Promise<void> {
    await once(this.#events, event, { signal: AbortSignal.timeout(withinMs) });
  }

  #keep(bytes: Buffer, read: (bytes: Buffer) => object): object {
    this.rawRequests.push(bytes);
    return read(bytes);
  }

  /** One reply per request, in order. */
  #serve<Request>(call: ServerDuplexStream<Request, object>, answer: (request: Request) => Promise<object>): void {
    let last = Promise.resolve();
    call.on("error", () => undefined);
    call.on("data", (request: Request) => {
      this.#events.emit("asked");
      if (this.#mood === "hangs") return;
      last = last.then(async () => void call.write(await answer(request)));
    });
    call.on("end", () => {
      if (this.#mood !== "hangs") void last.then(() => call.end());
    });
  }

  async #register(call: ServerDuplexStream<RegisterRequest, object>, request: RegisterRequest): Promise<object> {
    const token = tokenOf(call);
    const { endpoint, details } = request;
    if (this.#mood === "refuses") return failed("no more room");
    if (this.#options.token !== undefined && token !== this.#options.token) return failed("Authentication failure");
    if (endpoint.host === "") return failed("Empty host");
    this.#made += 1;
    // 63 bits, beyond what a number holds.
    const id = String(2n ** 62n + BigInt(this.#made));
    const answered = await this.#probe(`${endpoint.host}:${endpoint.port}`, details.type);
    const entry = {
      id,
      secret: `s${this.#made}`,
      token,
      ...endpoint,
      ...details,
      permanent: request.permanent,
      answered,
    };
    this.#entries.set(id, entry);
    this.#events.emit("registered");
    return { status: 1, service_id: id, secret: entry.secret };
  }

  #deregister(token: string, { service_id, secret }: { service_id: string; secret: string }): object {
    const entry = this.#entries.get(service_id);
    if (entry === undefined) return failed(`Unknown service ID [${service_id}]`);
    if (entry.token !== token || entry.secret !== secret) return failed("Authentication failure");
    this.#entries.delete(service_id);
    this.#events.emit("deregistered");
    return { status: 1 };
  }

  #inquire(call: ServerWritableStream<{ service_id: string }, object>): void {
    this.#events.emit("inquired");
    if (this.#mood === "hangs") return;
    const entry = this.#entries.get(call.request.service_id);
    if (entry !== undefined && entry.token === tokenOf(call) && entry.answered) {
      const { id, host, port, type, properties, permanent } = entry;
      call.write({
        data: { endpoint: { protocol: 1, host, port }, service_id: id, details: { type, properties }, permanent },
      });
    }
    call.end();
  }

  async #probe(address: string, type: number): Promise<boolean> {
    const client = new Client(address, credentials.createInsecure());
    const same = (bytes: Buffer) => bytes;
    const deadline = Date.now() + (this.#options.probeTimeoutMs ?? 2_000);
    const path = `/cogmentAPI.${SERVICE_OF_TYPE[type]}/Status`;
    try {
      return await new Promise<boolean>((resolve) => {
        client.makeUnaryRequest(path, same, same, STATUS_REQUEST, { deadline }, (error) => resolve(error === null));
      });
    } finally {
      client.close();
    }
  }
}

type AnyCall = Pick<ServerUnaryCall<unknown, unknown>, "metadata">;
const tokenOf = (call: AnyCall) => String(call.metadata.get("authentication-token")[0] ?? "");
const failed = (words: string) => ({ status: 2, error_msg: words });

/** Answers `Status` as a model registry does, and counts how often it was asked. */
export async function startProbed(t: Teardown): Promise<{ readonly port: number; probes(): number }> {
  let probes = 0;
  const server = new Server();
  const same = (bytes: Buffer) => bytes;
  const Status = {
    path: "/cogmentAPI.ModelRegistrySP/Status",
    requestStream: false,
    responseStream: false,
    requestSerialize: same,
    requestDeserialize: same,
    responseSerialize: same,
    responseDeserialize: same,
  } as const;
  server.addService(
    { Status },
    {
      Status: (_call: ServerUnaryCall<Buffer, Buffer>, answer: sendUnaryData<Buffer>) => {
        probes += 1;
        answer(null, Buffer.alloc(0));
      },
    },
  );
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  t.teardown(() => server.forceShutdown());
  return { port, probes: () => probes };
}
