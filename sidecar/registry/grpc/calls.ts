/** Handlers as gRPC calls them: each call is followed to its end, whatever its handler throws becomes a status, and nothing escapes. */
import type { EventEmitter } from "node:events";
import { toUSVString } from "node:util";
import type { ServerReadableStream, ServerUnaryCall, ServerWritableStream, sendUnaryData } from "@grpc/grpc-js";
import type { Clock } from "../../../core/runtime/clock.js";
import type { Logger } from "../../../core/runtime/logger.js";
import type { Connections } from "./connections.js";
import type { ReplyStream } from "./downloads.js";
import type { Paced } from "./pacing.js";
import { asRefusal, CallRefused, STATUS, type StatusName } from "./statuses.js";
import type { UploadMessage, UploadMessages } from "./uploads.js";
import type { Method, Requests } from "./wire.js";

export interface EndedCall {
  readonly method: Method;
  readonly status: StatusName;
  readonly durationMs: number;
}

export interface CallTools {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly connections: () => Connections;
  /** How long a client may neither send nor take a byte of what is under way. */
  readonly idleMs: number;
  readonly onEnded: (call: EndedCall) => void;
}

type AnyCall = { getPeer(): string };

export class Calls {
  readonly #tools: CallTools;
  readonly #running = new Set<Promise<void>>();
  #isStopping = false;

  constructor(tools: CallTools) {
    this.#tools = tools;
  }

  get count(): number {
    return this.#running.size;
  }

  /** Refuses what comes from now on. */
  refuse(): void {
    this.#isStopping = true;
  }

  /** Resolves when no handler runs. */
  async settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.allSettled(this.#running);
  }

  unary<M extends Method>(method: M, handler: (request: Requests[M], signal: AbortSignal) => Promise<Buffer>) {
    return (call: ServerUnaryCall<Requests[M], Buffer>, answer: sendUnaryData<Buffer>) => {
      const signal = signalOf(call);
      this.#run(method, {
        work: async () => {
          answer(null, await handler(call.request, signal));
          this.#followReply(call, signal);
        },
        refuse: (status) => answer(status),
      });
    };
  }

  upload(handler: (messages: UploadMessages) => Promise<Buffer>) {
    return (call: ServerReadableStream<unknown, Buffer>, answer: sendUnaryData<Buffer>) => {
      this.#run("CreateVersion", {
        work: async () => answer(null, await handler(this.#messagesOf(call))),
        refuse: (status) => answer(status),
      });
    };
  }

  replies<M extends Method>(method: M, handler: (request: Requests[M], replies: ReplyStream) => Promise<void>) {
    return (call: ServerWritableStream<Requests[M], Buffer>) => {
      this.#run(method, {
        work: async () => {
          await handler(call.request, this.#repliesOf(call));
          call.end();
        },
        // How the library takes a status other than OK.
        refuse: (status) => void call.emit("error", status),
      });
    };
  }

  #run(method: Method, { work, refuse }: { work(): Promise<void>; refuse(status: WireStatus): void }): void {
    const begin = this.#tools.clock.elapsed();
    const run = async () => {
      let ended: CallRefused | null = null;
      try {
        if (this.#isStopping) throw new CallRefused("UNAVAILABLE", "the model registry is stopping");
        await work();
      } catch (error) {
        ended = asRefusal(error, `answering ${method}`);
        refuse(wireStatus(ended));
      }
      this.#report(method, ended, this.#tools.clock.elapsed() - begin);
    };
    const running = run()
      .catch((error) =>
        this.#tools.logger.error(
          { event: "registry-call-failed", route: method, err: error },
          "a call could not be answered",
        ),
      )
      .finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  #report(method: Method, ended: CallRefused | null, durationMs: number): void {
    const status = ended?.status ?? "OK";
    this.#tools.onEnded({ method, status, durationMs });
    const fields = { event: "registry-call", route: method, code: status, durationMs: Math.round(durationMs) };
    const { logger } = this.#tools;
    if (ended === null || EXPECTED.has(status)) logger.debug(fields, "call ended");
    else if (QUIET.has(status)) logger.info(fields, "call ended");
    else if (FAULTS.has(status)) logger.error({ ...fields, err: ended.cause ?? ended }, "call failed");
    else logger.warn(fields, "call refused");
  }

  #messagesOf(call: ServerReadableStream<unknown, Buffer>): UploadMessages {
    const signal = signalOf(call);
    const messages = call[Symbol.asyncIterator]() as AsyncIterator<Paced<UploadMessage>>;
    let taken = () => {};
    const next = async () => {
      taken();
      const step = await messages.next().catch(() => null);
      if (step === null || signal.aborted) throw gone();
      if (step.done === true) return null;
      taken = step.value.taken;
      return step.value.message;
    };
    return { signal, next: () => this.#whileAlive(call, { signal, work: next() }) };
  }

  #repliesOf(call: ServerWritableStream<unknown, Buffer>): ReplyStream {
    const signal = signalOf(call);
    const write = (reply: Buffer) =>
      new Promise<void>((resolve, reject) =>
        call.write(reply, (error?: Error | null) => (error ? reject(gone()) : resolve())),
      );
    const send = async (reply: Buffer) => {
      try {
        await this.#whileAlive(call, { signal, work: write(reply) });
      } catch (error) {
        // It would wait, with its bytes, for a client that takes none: only without its connection it ends.
        if (!signal.aborted) this.#tools.connections().drop(call.getPeer());
        throw error;
      }
    };
    return { signal, send };
  }

  /** A reply that its client does not take would stay in memory: its connection ends. */
  #followReply(call: AnyCall, signal: AbortSignal): void {
    const taken = new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      signal.addEventListener("abort", () => resolve(), { once: true });
    });
    const never = new AbortController().signal;
    this.#whileAlive(call, { signal: never, work: taken }).catch(() => this.#tools.connections().drop(call.getPeer()));
  }

  /**
   * @throws what the work throws; CANCELLED when the client goes; ABORTED when nothing passes on its connection for too long, or this
   *   one message takes ten times as long
   */
  #whileAlive<T>(call: AnyCall, { signal, work }: { signal: AbortSignal; work: Promise<T> }): Promise<T> {
    const { clock, idleMs, connections } = this.#tools;
    return new Promise((resolve, reject) => {
      let before = passed(connections(), call);
      let checksLeft = MAX_IDLE_TIMES;
      const check = () => {
        const now = passed(connections(), call);
        checksLeft -= 1;
        if (now - before < SIGN_OF_LIFE_BYTES || checksLeft === 0) return settle(() => reject(idle(idleMs)));
        before = now;
        stopClock = clock.after(idleMs, check);
      };
      let stopClock = clock.after(idleMs, check);
      const settle = (end: () => void) => {
        stopClock();
        signal.removeEventListener("abort", leave);
        end();
      };
      const leave = () => settle(() => reject(gone()));
      signal.addEventListener("abort", leave, { once: true });
      work.then(
        (value) => settle(() => resolve(value)),
        (error) => settle(() => reject(error)),
      );
      if (signal.aborted) leave();
    });
  }
}

/** Less in an idle time is pings and the like. */
const SIGN_OF_LIFE_BYTES = 1_024;
/** For one message, with all signs of life. */
const MAX_IDLE_TIMES = 10;

function passed(connections: Connections, call: AnyCall): number {
  const traffic = connections.traffic(call.getPeer());
  return traffic === null ? 0 : traffic.readBytes + traffic.writtenBytes;
}

interface WireStatus extends Error {
  readonly code: number;
  readonly details: string;
}

/** As gRPC takes it. */
function wireStatus({ status, message }: CallRefused): WireStatus {
  // Half of a character cannot be sent.
  const details = toUSVString(message);
  return Object.assign(new Error(details), { code: STATUS[status], details });
}

/** Aborts when the call is over, however it ended. */
function signalOf(call: EventEmitter & { readonly cancelled: boolean }): AbortSignal {
  const over = new AbortController();
  call.once("cancelled", () => over.abort());
  if (call.cancelled) over.abort();
  return over.signal;
}

function gone(): CallRefused {
  return new CallRefused("CANCELLED", "the client went away");
}

function idle(idleMs: number): CallRefused {
  return new CallRefused("ABORTED", `nothing was sent or taken for ${Math.round(idleMs / 1_000)} s`);
}

/** A stop ends every watcher with it. */
const EXPECTED: ReadonlySet<StatusName> = new Set(["OK", "UNAVAILABLE"]);
const QUIET: ReadonlySet<StatusName> = new Set([
  "CANCELLED",
  "INVALID_ARGUMENT",
  "NOT_FOUND",
  "ALREADY_EXISTS",
  "UNAUTHENTICATED",
]);
const FAULTS: ReadonlySet<StatusName> = new Set(["UNKNOWN", "UNIMPLEMENTED", "INTERNAL", "DATA_LOSS"]);
