/**
 * Cogment's directory as the registry asks it: register, look up, deregister. One connection per question, as the original does it:
 * nothing stays open towards a directory that may come and go.
 */
import { fileURLToPath } from "node:url";
import { type CallOptions, Client, credentials, Metadata, type MethodDefinition, status } from "@grpc/grpc-js";
import { loadSync, type ServiceDefinition } from "@grpc/proto-loader";

/** What is registered. */
export interface DirectoryService {
  readonly host: string;
  readonly port: number;
  readonly properties: Readonly<Record<string, string>>;
}

/** A registration, as the directory names it. */
export interface DirectoryEntry {
  /** Up to 63 random bits, in decimal. */
  readonly serviceId: string;
  /** Needed to deregister; never shown. */
  readonly secret: string;
}

export interface Directory {
  /** Resolves once the directory has called back. @throws DirectoryProblem */
  register(service: DirectoryService, signal: AbortSignal): Promise<DirectoryEntry>;
  /** Whether others find it there. @throws DirectoryProblem */
  shows(entry: DirectoryEntry, signal: AbortSignal): Promise<boolean>;
  /** @throws DirectoryProblem, also when it is not there any more */
  deregister(entry: DirectoryEntry, signal: AbortSignal): Promise<void>;
}

/** Why the directory does not do what it is asked, in words without anybody's secrets. */
export class DirectoryProblem extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "DirectoryProblem";
  }
}

export interface DirectoryOptions {
  /** `grpc://<host>:<port>`, as the configuration has it. */
  readonly endpoint: string;
  readonly token: string | null;
  /** Bound on one question. Default 30_000: before it answers, a directory tries for 21 s to reach whoever registers. */
  readonly timeoutMs?: number;
}

const TIMEOUT_MS = 30_000;
/** For the directory to end a call after its reply. */
const GOODBYE_MS = 500;
const GRPC = 1;
const MODEL_REGISTRY_SERVICE = 8;
const LONGEST_WORDS = 200;

interface RegisterReply {
  readonly status: string;
  readonly error_msg: string;
  readonly service_id: string;
  readonly secret: string;
}

type DeregisterReply = Pick<RegisterReply, "status" | "error_msg">;
type InquireReply = { readonly data: { readonly service_id: string } | null };

export function createDirectory({ endpoint, token, timeoutMs = TIMEOUT_MS }: DirectoryOptions): Directory {
  const methods = loadSync(fileURLToPath(new URL("./directory.proto", import.meta.url)), {
    keepCase: true,
    longs: String,
    enums: String,
    defaults: true,
  })["cogmentAPI.DirectorySP"] as ServiceDefinition;
  const address = endpoint.replace(/^grpc:\/\//, "");
  const ask = <Reply extends object>(method: string, request: object, signal: AbortSignal) =>
    new Promise<object | null>((resolve, reject) => {
      askOnce({ address, token, timeoutMs, signal }, methods[method]!, request, { resolve, reject });
    }) as Promise<Reply | null>;
  return {
    async register({ host, port, properties }, signal) {
      const endpoint = { protocol: GRPC, host, port };
      const request = { endpoint, details: { type: MODEL_REGISTRY_SERVICE, properties }, permanent: false };
      const reply = accepted(await ask<RegisterReply>("Register", request, signal), "registration", token);
      return { serviceId: reply.service_id, secret: reply.secret };
    },
    async shows({ serviceId }, signal) {
      const reply = await ask<InquireReply>("Inquire", { service_id: serviceId }, signal);
      return reply?.data?.service_id === serviceId;
    },
    async deregister({ serviceId, secret }, signal) {
      const request = { service_id: serviceId, secret };
      accepted(await ask<DeregisterReply>("Deregister", request, signal), "deregistration", token);
    },
  };
}

interface Question {
  readonly address: string;
  readonly token: string | null;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

interface Waiting {
  resolve(reply: object | null): void;
  reject(problem: DirectoryProblem): void;
}

/** Sends one request and takes the first reply; null when the call ends well without one. */
function askOnce(
  { address, token, timeoutMs, signal }: Question,
  method: MethodDefinition<object, object>,
  request: object,
  { resolve, reject }: Waiting,
): void {
  // Its own connection, and its own memory of how often that failed: the pauses are the asker's.
  const client = new Client(address, credentials.createInsecure(), { "grpc.use_local_subchannel_pool": 1 });
  const metadata = new Metadata();
  if (token !== null && token !== "") metadata.set("authentication-token", token);
  const options: CallOptions = { deadline: Date.now() + timeoutMs };
  const { path, requestSerialize: write, responseDeserialize: read } = method;
  const call = (() => {
    if (!method.requestStream) return client.makeServerStreamRequest(path, write, read, request, metadata, options);
    const stream = client.makeBidiStreamRequest(path, write, read, metadata, options);
    stream.write(request);
    stream.once("data", () => stream.end());
    return stream;
  })();
  const abort = () => call.cancel();
  let goodbye: NodeJS.Timeout | undefined;
  call.once("data", (reply: object) => {
    goodbye = setTimeout(abort, GOODBYE_MS);
    resolve(reply);
  });
  call.on("error", () => undefined);
  call.once("status", ({ code }) => {
    clearTimeout(goodbye);
    signal.removeEventListener("abort", abort);
    client.close();
    // After a reply both change nothing.
    if (code === status.OK) resolve(null);
    else reject(new DirectoryProblem(wordsOf(code, timeoutMs)));
  });
  signal.addEventListener("abort", abort, { once: true });
  if (signal.aborted) abort();
}

function wordsOf(code: status, timeoutMs: number): string {
  switch (code) {
    case status.UNAVAILABLE:
      return "the directory cannot be reached";
    case status.DEADLINE_EXCEEDED:
      return `the directory did not answer within ${timeoutMs / 1_000} s`;
    case status.UNAUTHENTICATED:
    case status.PERMISSION_DENIED:
      return "the directory refuses the token: check registry.directory_authentication_token";
    case status.UNIMPLEMENTED:
      return "what answers there is no directory: check registry.directory_endpoint";
    case status.CANCELLED:
      return "the question was called off";
    default:
      return `the directory failed with ${status[code] ?? code}`;
  }
}

/** @throws DirectoryProblem unless the reply says OK */
function accepted<Reply extends DeregisterReply>(reply: Reply | null, what: string, token: string | null): Reply {
  if (reply === null) throw new DirectoryProblem(`the directory gave no reply to the ${what}`);
  if (reply.status === "OK") return reply;
  const said = fit(reply.error_msg, token);
  throw new DirectoryProblem(`the directory refuses the ${what}${said === "" ? "" : `: ${said}`}`);
}

/** Somebody else's words, fit for a log: one short printable line, in which the token does not stand. */
function fit(words: string, token: string | null): string {
  const masked = token === null || token === "" ? words : words.replaceAll(token, "***");
  return masked
    .replace(/[^\x20-\x7e]+/g, " ")
    .trim()
    .slice(0, LONGEST_WORDS);
}
