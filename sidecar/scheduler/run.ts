/**
 * Sends one task to its model server and stores what comes back, byte for byte. One call: retries are decided in `retry.ts`.
 */
import { Readable } from "node:stream";
import { Agent, type Dispatcher } from "undici";
import { SluiceError } from "../../core/contract/errors.js";
import { HOP_BY_HOP } from "../../core/contract/hop-by-hop.js";
import { fieldsOf, fieldsWhere, valuesOf } from "../../core/contract/raw-headers.js";
import type { RawHeaders } from "../../core/contract/tasks.js";
import { failpoint } from "../../core/runtime/failpoints.js";
import { below } from "../../core/runtime/http.js";
import { type BlobStore, type StoredBody, sizeOf, type TaskAnswer, type TaskRow } from "../tasks/store.js";
import type { CallFailure } from "./retry.js";

export type CallResult =
  | { readonly kind: "answer"; readonly answer: TaskAnswer }
  | { readonly kind: "failure"; readonly failure: CallFailure; readonly sent: boolean; readonly upstreamMs: number };

/**
 * An answer that finds the disk full waits for space, its model server with it: sent again, the call would cost the same and find the
 * same disk. After this the attempt is given up.
 */
const SPACE_PATIENCE_MS = 600_000;

export interface CallerOptions {
  readonly blobs: BlobStore;
  readonly connectTimeoutMs: number;
  /** Bound on the wait for the first byte of an answer. */
  readonly responseTimeoutMs: number;
  /** Bound on silence inside an answer. */
  readonly idleTimeoutMs: number;
}

export interface Caller {
  /** @throws DISK_FULL, STORE_FAILED when the answer cannot be kept; the signal's reason when aborted */
  call(task: TaskRow, payload: StoredBody, baseUrl: string, signal: AbortSignal): Promise<CallResult>;
  close(): Promise<void>;
}

/** An answer's head on the light path is no larger either (`proxy/forward/http.ts`). */
const MAX_HEAD_BYTES = 64 * 1024;

export function createCaller(options: CallerOptions): Caller {
  const agent = new Agent({
    connect: { timeout: options.connectTimeoutMs },
    // CMS closes idle connections at 5 s (reference cms-api 5.1).
    keepAliveTimeout: 4_000,
    keepAliveMaxTimeout: 4_000,
    pipelining: 1,
    maxHeaderSize: MAX_HEAD_BYTES,
    headersTimeout: options.responseTimeoutMs,
    bodyTimeout: options.idleTimeoutMs,
  });

  return {
    async call(task, payload, baseUrl, signal) {
      const startedAt = performance.now();
      if (task.headers === null) throw new SluiceError("RESULT_DAMAGED", "the request's stored headers cannot be read");
      const body = task.method === "GET" ? null : await openPayload(options.blobs, payload);
      const exchange = new Exchange(signal);
      try {
        failpoint("attempt.before_send");
        agent.dispatch(
          {
            ...below(baseUrl, upstreamPath(task)),
            method: task.method as Dispatcher.HttpMethod,
            headers: upstreamHeaders(task.headers, body === null ? null : payload),
            body,
          },
          exchange,
        );
        const { status, headers, source } = await exchange.head;
        failpoint("attempt.after_send");
        const stored = await options.blobs.write("result", source, {
          maxBytes: Number.POSITIVE_INFINITY,
          idleTimeoutMs: options.idleTimeoutMs,
          whenFull: { forMs: SPACE_PATIENCE_MS, signal },
        });
        failpoint("attempt.after_answer");
        return { kind: "answer", answer: { status, headers, body: stored, upstreamMs: performance.now() - startedAt } };
      } catch (error) {
        if (signal.aborted) throw signal.reason;
        // Two watch the silence inside an answer, the connection and the store; whoever sees it first, it is one thing.
        const isStalled = error instanceof SluiceError && error.code === "BODY_TIMEOUT";
        if (!exchange.broken && !isStalled) throw error;
        return {
          kind: "failure",
          failure: exchange.broken === null ? "timeout" : failureOf(exchange.broken),
          sent: exchange.sent,
          upstreamMs: performance.now() - startedAt,
        };
      } finally {
        exchange.end();
        if (body instanceof Readable) body.destroy();
      }
    },
    close: () => agent.destroy(),
  };
}

/** One request on the wire: its head as a promise, its body as a stream with back-pressure. */
class Exchange implements Dispatcher.DispatchHandler {
  readonly head: Promise<{ status: number; headers: RawHeaders; source: Readable }>;
  /** True once the request went out on a connection. */
  sent = false;
  /** What ended the exchange on the wire, if anything did. */
  broken: Error | null = null;
  #controller: Dispatcher.DispatchController | null = null;
  #source: Readable | null = null;
  #resolve!: (head: { status: number; headers: RawHeaders; source: Readable }) => void;
  #reject!: (error: Error) => void;
  readonly #signal: AbortSignal;
  readonly #abort = () => this.#controller?.abort(asError(this.#signal.reason));

  constructor(signal: AbortSignal) {
    this.#signal = signal;
    this.head = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    signal.addEventListener("abort", this.#abort, { once: true });
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    this.sent = true;
    if (this.#signal.aborted) this.#abort();
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number): void {
    if (status < 200) return;
    const source = new Readable({ read: () => controller.resume(), destroy: (error, done) => done(error) });
    this.#source = source;
    const raw = (controller.rawHeaders ?? []) as Buffer[];
    this.#resolve({ status, headers: endToEnd(raw.map((each) => each.toString("latin1"))), source });
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#source?.push(chunk) === false) controller.pause();
  }

  onResponseEnd(): void {
    this.#source?.push(null);
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.broken = error;
    this.#source?.destroy(error);
    this.#reject(error);
  }

  /** Lets go of the signal and, when the answer was not read to its end, of the connection. */
  end(): void {
    this.#signal.removeEventListener("abort", this.#abort);
    this.head.catch(() => undefined);
    if (this.#source !== null && !this.#source.readableEnded)
      this.#controller?.abort(new Error("the answer is no longer wanted"));
  }
}

/** What is kept of an answer's head: nothing that spoke of the connection, and nothing that is ours to say. */
function endToEnd(raw: RawHeaders): RawHeaders {
  const dropped = new Set([...HOP_BY_HOP, "x-request-id", "sluice-task-id", "sluice-cache"]);
  for (const value of valuesOf(raw, "connection")) {
    for (const name of value.split(",")) dropped.add(name.trim().toLowerCase());
  }
  for (const framing of ["content-length", "content-type"]) dropped.delete(framing);
  return fieldsWhere(raw, (name) => !dropped.has(name));
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error("aborted", { cause: reason });
}

const PROTOCOL_CODES = new Set([
  "HPE_INVALID_CONSTANT",
  "UND_ERR_RES_CONTENT_LENGTH_MISMATCH",
  "UND_ERR_RESPONSE",
  "UND_ERR_HEADERS_OVERFLOW",
]);
const REFUSED_CODES = new Set([
  "ECONNREFUSED",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENOTFOUND",
  "EAI_AGAIN",
  "UND_ERR_CONNECT_TIMEOUT",
]);

function failureOf(error: Error): CallFailure {
  const code = String((error as { code?: unknown }).code ?? "");
  if (REFUSED_CODES.has(code)) return "refused";
  if (code === "UND_ERR_HEADERS_TIMEOUT" || code === "UND_ERR_BODY_TIMEOUT") return "timeout";
  if (code.startsWith("HPE_") || PROTOCOL_CODES.has(code)) return "protocol";
  // undici's parser names no code; at the connection's end it speaks of "EOF", and that is a cut.
  if (error.name === "HTTPParserError" && !/\beof\b/i.test(error.message)) return "protocol";
  return "cut";
}

async function openPayload(blobs: BlobStore, payload: StoredBody): Promise<Buffer | Readable> {
  return payload.kind === "inline" ? payload.bytes : ((await blobs.open(payload)) as Readable);
}

/** The path for the model server; with `forceTrackingId` the task's id stands in for any `tracking_id` the client sent. */
function upstreamPath(task: Pick<TaskRow, "path" | "uuid" | "forceTrackingId">): string {
  if (!task.forceTrackingId) return task.path;
  const { path, parameters } = splitQuery(task.path);
  const kept = parameters.filter((each) => !isTrackingId(each));
  return `${path}?${[...kept, `tracking_id=${task.uuid}`].join("&")}`;
}

/** The name under which a training's run is found at the model server. */
export function runNameOf(task: Pick<TaskRow, "path" | "uuid" | "forceTrackingId">): string | null {
  if (task.forceTrackingId) return task.uuid;
  const own = splitQuery(task.path).parameters.findLast(isTrackingId);
  return own === undefined ? null : decodeURIComponent(own.slice("tracking_id=".length));
}

function splitQuery(target: string): { path: string; parameters: string[] } {
  const at = target.indexOf("?");
  if (at < 0) return { path: target, parameters: [] };
  return {
    path: target.slice(0, at),
    parameters: target
      .slice(at + 1)
      .split("&")
      .filter((each) => each !== ""),
  };
}

function isTrackingId(parameter: string): boolean {
  return parameter.startsWith("tracking_id=");
}

const REPLACED = new Set(["content-length", "transfer-encoding", "host", "connection", "expect", "keep-alive"]);

function upstreamHeaders(received: RawHeaders, payload: StoredBody | null): string[] {
  const headers: string[] = [];
  for (const [name, value] of fieldsOf(received)) {
    if (!REPLACED.has(name.toLowerCase())) headers.push(name, value);
    else if (name.toLowerCase() === "host") headers.unshift(name, value);
  }
  if (payload !== null) headers.push("Content-Length", String(sizeOf(payload)));
  return headers;
}

/** The caller's own credentials: questions about its run are asked in its name. */
export function credentialsOf(task: Pick<TaskRow, "headers">): string[] {
  return fieldsWhere(task.headers ?? [], (name) => name === "authorization" || name === "cookie");
}
