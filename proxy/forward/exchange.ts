/**
 * One forwarded request and its answer, as undici's handler. States: connecting → sending → answering → over; `over` is entered once.
 *
 * undici's raw callbacks are used in place of streams: they give header bytes as they came and cost the least.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { SluiceError } from "../../core/contract/errors.js";
import { answerError, cutAnswer, discardBody } from "./answer-error.js";
import { classifyFailure, type Failure } from "./failures.js";
import { type ResponseHead, type ResponseHeadOptions, responseHead, serverTiming } from "./headers.js";
import { arrivedBody, bodySourceOf, ClientBody } from "./request-body.js";

export interface Outcome {
  /** What the client saw; 499 when it had left. */
  readonly status: number;
  readonly upstreamMs: number;
  /** `performance.now()` */
  readonly endedAtMs: number;
  /** Ours, when the server did not finish its own answer. */
  readonly error: SluiceError | null;
}

export interface ExchangeOptions extends ResponseHeadOptions {
  readonly origin: string;
  readonly method: string;
  /** Path and query for the server, byte for byte. */
  readonly path: string;
  readonly headers: string[];
  readonly requestId: string;
  /** `performance.now()` when the request's head had arrived. */
  readonly receivedAtMs: number;
  readonly queueMs: number;
  /** Default: the host's. */
  readonly maxBodyBytes?: number;
  /** Called before the body is read: answers a waiting `Expect: 100-continue`. */
  startBody(): void;
  errorOf(failure: Failure): SluiceError;
  /** Called once, when the answer is whole or cannot become so. */
  done(outcome: Outcome): void;
}

export interface UpstreamRequest {
  readonly path: string;
  readonly method: string;
  readonly headers: string[];
  readonly body: Buffer | ClientBody | null;
  readonly isStream: boolean;
}

/** What the owner of the pools does for an exchange. */
export interface ExchangeHost {
  readonly maxBodyBytes: number;
  dispatch(request: UpstreamRequest, handler: Exchange): void;
  isFromUsedConnection(error: unknown): boolean;
  closed(exchange: Exchange): void;
}

const NOTHING = Buffer.alloc(0);
const ODD_REASON = /[^\t\x20-\x7e]/;

/** Up to here a whole body leaves as Latin-1 text: node then sends it with the head as one string, a tenth of a request cheaper. */
const ONE_WRITE_BYTES = 16 * 1024;

export class Exchange {
  /** The owner's, to find it again. */
  place = -1;
  readonly #req: IncomingMessage;
  readonly #res: ServerResponse;
  readonly #options: ExchangeOptions;
  readonly #host: ExchangeHost;
  #body: ClientBody | null = null;
  #abort: ((error?: Error) => void) | null = null;
  #resume: (() => void) | null = null;
  #head: ResponseHead | null = null;
  /** The whole body when it came in one chunk: it leaves together with the head. */
  #only: Buffer | null = null;
  #hasWritten = false;
  #hasHeard = false;
  #hasRetried = false;
  #isOver = false;
  #sentAtMs = 0;
  #headAtMs = 0;
  #movedAtMs = 0;

  constructor(req: IncomingMessage, res: ServerResponse, options: ExchangeOptions, host: ExchangeHost) {
    this.#req = req;
    this.#res = res;
    this.#options = options;
    this.#host = host;
  }

  start(): void {
    this.#movedAtMs = this.#options.receivedAtMs;
    this.#res.on("close", this.#onClientClose);
    const source = bodySourceOf(this.#req);
    if (source.kind === "none") {
      this.#send(null);
      return;
    }
    this.#options.startBody();
    if (source.kind === "length") {
      // A small body usually arrives with its head, and node's parser reaches it right after this call.
      process.nextTick(() => this.#sendBody(source.bytes));
    } else this.#sendBody(null);
  }

  #sendBody(bytes: number | null): void {
    if (this.#isOver) return;
    const arrived = bytes === null ? null : arrivedBody(this.#req, bytes);
    if (arrived !== null) {
      this.#req.resume();
      this.#send(arrived);
      return;
    }
    const maxBytes = this.#options.maxBodyBytes ?? this.#host.maxBodyBytes;
    this.#body = new ClientBody(this.#req, {
      maxBytes,
      moved: () => {
        this.#movedAtMs = performance.now();
      },
      tooLarge: () =>
        this.#fail(
          new SluiceError(
            "BODY_TOO_LARGE",
            `the request body exceeds ${maxBytes} bytes, the limit of proxy.max_body_size`,
          ),
        ),
    });
    this.#send(this.#body);
  }

  #send(body: Buffer | ClientBody | null): void {
    const { path, method, headers } = this.#options;
    this.#sentAtMs = performance.now();
    this.#host.dispatch({ path, method, headers, body, isStream: body === this.#body && body !== null }, this);
  }

  // undici's handler

  onConnect(abort: (error?: Error) => void): void {
    this.#abort = abort;
    if (this.#isOver) abort();
  }

  onResponseStarted(): void {
    this.#hasHeard = true;
  }

  /** What it throws comes back through {@link onError}. */
  onHeaders(status: number, raw: Buffer[], resume: () => void, reason: string): boolean {
    if (status < 200) return true;
    const { requestId } = this.#options;
    this.#resume = resume;
    this.#headAtMs = performance.now();
    this.#movedAtMs = this.#headAtMs;
    const head = responseHead(raw, this.#options);
    head.headers.push("x-request-id", requestId, "server-timing", this.#timing());
    this.#res.sendDate = false;
    if (reason === "" || ODD_REASON.test(reason)) this.#res.writeHead(status, head.headers);
    else this.#res.writeHead(status, reason, head.headers);
    this.#head = head;
    process.nextTick(flushHead, this);
    return true;
  }

  onData(chunk: Buffer): boolean {
    if (!this.#hasWritten && chunk.length === this.#head?.contentLength) {
      this.#only = chunk;
      return true;
    }
    this.#movedAtMs = performance.now();
    this.#hasWritten = true;
    if (this.#res.write(chunk)) return true;
    this.#res.once("drain", () => this.#onDrain());
    return false;
  }

  onComplete(trailers: readonly (string | Buffer)[] | null): void {
    if (this.#isOver) return;
    this.#isOver = true;
    if (trailers !== null && trailers.length > 0 && this.#head?.contentLength === -1) {
      this.#res.addTrailers(pairsOf(trailers));
    }
    const only = this.#only;
    if (only !== null && only.length <= ONE_WRITE_BYTES) this.#res.end(only.toString("latin1"), "latin1");
    else this.#res.end(only ?? undefined);
    if (!this.#req.complete) this.#discardRest();
    this.#report(this.#res.statusCode, null);
  }

  onError(caught: unknown): void {
    if (this.#isOver) return;
    if (this.#head !== null && this.#res.statusCode === 304) {
      // It has no body, whatever length it names; undici takes the missing body for a cut.
      this.onComplete(null);
      return;
    }
    if (this.#canRetry(caught)) {
      this.#hasRetried = true;
      this.#abort = null;
      this.#send(null);
      return;
    }
    if (caught instanceof SluiceError) this.#fail(caught);
    else if (this.#head === null) this.#fail(this.#options.errorOf(classifyFailure(caught)));
    else this.#fail(this.#options.errorOf({ kind: "late", cause: caught }));
  }

  // The owner's calls

  /** Sends a head that no chunk has taken along, so that an event stream's client hears of it at once. */
  flushHead(): void {
    if (this.#hasWritten || this.#isOver || this.#only !== null) return;
    // Not flushHeaders(): it encodes header values as UTF-8.
    this.#res.write(NOTHING);
  }

  endIfStalled(beforeMs: number): void {
    if (this.#movedAtMs > beforeMs) return;
    if (this.#isOver) {
      this.#res.destroy();
      return;
    }
    const isSending = this.#body !== null && !this.#body.readableEnded;
    if (this.#head === null && this.#abort !== null && !isSending) return;
    if (isSending && this.#body?.isWaiting && this.#head === null) {
      this.#fail(new SluiceError("BODY_TIMEOUT", "the request body stopped arriving"));
    } else this.#fail(this.#options.errorOf({ kind: "timeout", cause: undefined }));
  }

  endEventStream(): void {
    if (this.#isOver || this.#head?.isEventStream !== true || this.#options.method !== "GET") return;
    this.#isOver = true;
    this.#abort?.();
    this.#res.end();
    this.#report(this.#res.statusCode, null);
  }

  cut(): void {
    this.#res.destroy();
  }

  // Ends

  readonly #onClientClose = (): void => {
    this.#host.closed(this);
    if (this.#isOver) return;
    this.#isOver = true;
    this.#abort?.();
    this.#report(499, this.#options.errorOf({ kind: "client-gone", cause: undefined }));
  };

  #onDrain(): void {
    this.#movedAtMs = performance.now();
    if (!this.#isOver) this.#resume?.();
  }

  #fail(error: SluiceError): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#abort?.();
    this.#body?.destroy();
    const hasHead = this.#res.headersSent;
    if (hasHead) cutAnswer(this.#res);
    else answerError(this.#req, this.#res, error, this.#options.requestId);
    this.#report(hasHead ? this.#res.statusCode : error.status, error);
  }

  /** A connection that the server had just closed as idle: nothing was read, so nothing was done. */
  #canRetry(caught: unknown): boolean {
    if (this.#hasRetried || this.#hasHeard || this.#head !== null) return false;
    const { method } = this.#options;
    if (method !== "GET" && method !== "HEAD") return false;
    return bodySourceOf(this.#req).kind === "none" && this.#host.isFromUsedConnection(caught);
  }

  /** The answer came before the request's end: undici has closed its connection, the client still sends. */
  #discardRest(): void {
    const { socket } = this.#req;
    this.#body?.destroy();
    discardBody(this.#req, () => {
      if (!this.#req.complete) socket.destroy();
    });
  }

  #timing(): string {
    const { queueMs, receivedAtMs } = this.#options;
    const upstreamMs = this.#headAtMs - this.#sentAtMs;
    const gatewayMs = Math.max(this.#headAtMs - receivedAtMs - queueMs - upstreamMs, 0);
    return serverTiming(queueMs, upstreamMs, gatewayMs);
  }

  #report(status: number, error: SluiceError | null): void {
    const endedAtMs = performance.now();
    const upstreamMs = this.#sentAtMs === 0 ? 0 : endedAtMs - this.#sentAtMs;
    this.#options.done({ status, upstreamMs, endedAtMs, error });
  }
}

function flushHead(exchange: Exchange): void {
  exchange.flushHead();
}

function pairsOf(flat: readonly (string | Buffer)[]): [string, string][] {
  const pairs: [string, string][] = [];
  for (let index = 0; index + 1 < flat.length; index += 2) {
    pairs.push([latin1(flat[index]!), latin1(flat[index + 1]!)]);
  }
  return pairs;
}

function latin1(text: string | Buffer): string {
  return typeof text === "string" ? text : text.toString("latin1");
}
