/**
 * Protocol upgrades, carried by http-proxy-3 (its only importer): frames pass untouched both ways, so close codes, pings and
 * permessage-deflate are the two ends' own. What the library leaves open is closed here: timeouts, hang-ups before the upgrade,
 * refusals cut short, an end for every socket.
 */
import type { ClientRequest, IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import httpProxy from "http-proxy-3";
import type { SluiceError } from "../../core/contract/errors.js";
import { answerErrorOnSocket } from "./answer-error.js";
import { classifyFailure, type Failure } from "./failures.js";
import { closeFrame } from "./websocket-frames.js";

export interface UpgraderOptions {
  readonly connectTimeoutMs: number;
  /** From the handshake's end to its answer. */
  readonly responseTimeoutMs: number;
}

export interface UpgradeOptions {
  readonly origin: string;
  /** Path and query for the server, byte for byte. */
  readonly path: string;
  /** Flat end-to-end headers; the upgrade's own are added here. */
  readonly headers: readonly string[];
  readonly requestId: string;
  errorOf(failure: Failure): SluiceError;
  /** Called once: with the answer's status (101 when upgraded, 499 when the client left first). */
  answered(status: number, error: SluiceError | null): void;
}

interface Pair {
  readonly client: Socket;
  upstream: Socket | null;
}

/** What a client sends before it has been answered; more than this is no handshake. */
const MAX_EARLY_BYTES = 64 * 1024;
const GOING_AWAY = 1001;
/** For both ends to see the close frame. */
const CLOSE_MS = 1_000;

export class Upgrader {
  readonly #options: UpgraderOptions;
  readonly #pairs = new Set<Pair>();
  readonly #proxy = httpProxy.createProxyServer({ ws: true, xfwd: false });

  constructor(options: UpgraderOptions) {
    this.#options = options;
    // Failures come through the callback of each call; without a listener the emitter would throw.
    this.#proxy.on("error", () => {});
    this.#proxy.on("proxyReqWs", (request, req) => prepared.get(req)?.(request));
  }

  get open(): number {
    return this.#pairs.size;
  }

  upgrade(req: IncomingMessage, client: EarlySocket, options: UpgradeOptions): void {
    const pair: Pair = { client: client.socket, upstream: null };
    this.#pairs.add(pair);
    client.socket.once("close", () => this.#pairs.delete(pair));
    const handshake = new Handshake(client, options, this.#options, pair);
    prepared.set(req, (request) => handshake.watch(request));
    req.headers = headersOf(options.headers);
    this.#proxy.ws(req, client.socket, NOTHING, { target: options.origin }, (error) => handshake.fail(error));
  }

  /** Ends every connection with a going-away frame. */
  endAll(): void {
    for (const { client, upstream } of this.#pairs) {
      if (upstream === null) {
        client.destroy();
        continue;
      }
      upstream.unpipe(client);
      client.unpipe(upstream);
      client.end(closeFrame(GOING_AWAY, false));
      upstream.end(closeFrame(GOING_AWAY, true));
      setTimeout(() => {
        client.destroy();
        upstream.destroy();
      }, CLOSE_MS).unref();
    }
  }

  destroy(): void {
    for (const { client, upstream } of this.#pairs) {
      client.destroy();
      upstream?.destroy();
    }
  }
}

const NOTHING = Buffer.alloc(0);
/** The library hands over its request through an event; this finds the handshake it belongs to. */
const prepared = new WeakMap<IncomingMessage, (request: ClientRequest) => void>();

/** A client's socket before its upgrade is answered: read, so that a hang-up is seen, and nothing of it is lost. */
export class EarlySocket {
  readonly socket: Socket;
  #chunks: Buffer[] = [];
  #bytes = 0;

  constructor(socket: Socket, head: Buffer) {
    this.socket = socket;
    if (head.length > 0) this.#onData(head);
    // A socket's error ends that socket and nothing else.
    socket.on("error", () => socket.destroy());
    socket.on("data", this.#onData);
    socket.on("end", this.#onEnd);
  }

  /** Puts back what came early; from here the socket is somebody else's to read. */
  handOver(): void {
    this.socket.off("data", this.#onData).off("end", this.#onEnd);
    this.socket.pause();
    if (this.#bytes > 0) this.socket.unshift(Buffer.concat(this.#chunks));
    this.#chunks = [];
    this.#bytes = 0;
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    if (this.#bytes > MAX_EARLY_BYTES) this.socket.destroy();
  };

  readonly #onEnd = (): void => {
    this.socket.destroy();
  };
}

/** From the library's request to the server's answer. */
class Handshake {
  readonly #client: EarlySocket;
  readonly #options: UpgradeOptions;
  readonly #limits: UpgraderOptions;
  readonly #pair: Pair;
  #request: ClientRequest | null = null;
  #timer: NodeJS.Timeout | undefined;
  #timedOut: "connect-timeout" | "timeout" | null = null;
  #isAnswered = false;

  constructor(client: EarlySocket, options: UpgradeOptions, limits: UpgraderOptions, pair: Pair) {
    this.#client = client;
    this.#options = options;
    this.#limits = limits;
    this.#pair = pair;
    client.socket.once("close", () => {
      this.#request?.destroy();
      this.#answered(499, options.errorOf({ kind: "client-gone", cause: undefined }));
    });
  }

  watch(request: ClientRequest): void {
    this.#request = request;
    // The library joins URLs in its own way; the client's bytes are the ones to send.
    request.path = this.#options.path;
    this.#bound("connect-timeout", this.#limits.connectTimeoutMs);
    request.once("socket", (socket) =>
      socket.once("connect", () => this.#bound("timeout", this.#limits.responseTimeoutMs)),
    );
    // Registered before the library's own listeners, so what is changed here is what it passes on.
    request.once("upgrade", (answer: IncomingMessage, upstream: Socket) => this.#onUpgrade(answer, upstream));
    request.once("response", (answer: IncomingMessage) => this.#onRefusal(answer));
  }

  fail(error: unknown): void {
    const { socket } = this.#client;
    if (this.#isAnswered) {
      socket.destroySoon();
      return;
    }
    const failure: Failure = this.#timedOut === null ? classifyFailure(error) : { kind: this.#timedOut, cause: error };
    const told = this.#options.errorOf(failure);
    this.#answered(told.status, told);
    answerErrorOnSocket(socket, told, this.#options.requestId);
  }

  #onUpgrade(answer: IncomingMessage, upstream: Socket): void {
    this.#client.handOver();
    this.#pair.upstream = upstream;
    const { socket } = this.#client;
    upstream.on("error", () => socket.destroy());
    // A half-closed pair would stay for ever: an end that is gone takes the other along once its bytes are out.
    socket.once("close", () => upstream.destroySoon());
    upstream.once("close", () => socket.destroySoon());
    delete answer.headers["x-request-id"];
    answer.headers["x-request-id"] = this.#options.requestId;
    this.#answered(101, null);
  }

  /** The library relays status, headers and body; it does not see a body that is cut. */
  #onRefusal(answer: IncomingMessage): void {
    this.#client.handOver();
    const { socket } = this.#client;
    answer.headers["x-request-id"] = this.#options.requestId;
    answer.headers.connection = "close";
    delete answer.headers["keep-alive"];
    delete answer.headers.upgrade;
    answer.once("close", () => {
      if (!answer.complete) socket.destroy();
    });
    this.#answered(answer.statusCode ?? 502, null);
  }

  #bound(kind: "connect-timeout" | "timeout", ms: number): void {
    clearTimeout(this.#timer);
    if (this.#isAnswered) return;
    this.#timer = setTimeout(() => {
      this.#timedOut = kind;
      this.#request?.destroy(new Error("the handshake took too long"));
    }, ms);
    this.#timer.unref();
  }

  #answered(status: number, error: SluiceError | null): void {
    clearTimeout(this.#timer);
    if (this.#isAnswered) return;
    this.#isAnswered = true;
    this.#options.answered(status, error);
  }
}

/** Node's client takes repeated fields as arrays. */
function headersOf(flat: readonly string[]): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = {};
  for (let index = 0; index < flat.length; index += 2) {
    const name = flat[index]!.toLowerCase();
    const value = flat[index + 1]!;
    const known = headers[name];
    headers[name] = known === undefined ? value : [...(typeof known === "string" ? [known] : known), value];
  }
  headers.connection = "Upgrade";
  headers.upgrade = "websocket";
  return headers;
}
