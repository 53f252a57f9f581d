/** How one process reaches the model servers: the scheduler's `Caller` and the `HttpClient`, with their time-outs and their aborts. */
import { SluiceError } from "../../core/contract/errors.js";
import type { HttpAnswer, HttpCall, HttpClient } from "../../core/runtime/http.js";
import { isTraining } from "../../sidecar/scheduler/decide.js";
import { type Caller, type CallResult, runNameOf } from "../../sidecar/scheduler/run.js";
import type { StoredBody } from "../../sidecar/tasks/store.js";
import type { Heard } from "./log-entry.js";
import type { MemoryBlobs } from "./memory-disk.js";
import type { Reply, Request, SimulatedServer } from "./model-server.js";
import type { SidecarProcess } from "./sidecar-process.js";
import type { World } from "./world.js";

/** There and back. */
const LATENCY_MS = 0.5;

export interface Network {
  readonly world: World;
  readonly process: SidecarProcess;
  /** By the host name of their URL. */
  readonly servers: ReadonlyMap<string, SimulatedServer>;
}

function serverAt({ servers }: Network, url: string): SimulatedServer {
  return servers.get(url.slice("http://".length))!;
}

interface Bounds {
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

/** Sends to a server and resolves with its reply in our process, a time-out, or rejects when it was aborted. */
function exchange(
  { process }: Network,
  { timeoutMs, signal }: Bounds,
  send: (request: Request) => void,
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    let isOver = false;
    const end = () => {
      isOver = true;
      cancel();
      signal?.removeEventListener("abort", abort);
    };
    const abort = () => {
      end();
      reject(signal!.reason);
    };
    const settle = (reply: Reply) => {
      if (isOver) return;
      end();
      reply.onHeard?.();
      resolve(reply);
    };
    const cancel = process.after(timeoutMs, () => {
      settle({ how: "timeout", status: 0, text: "", retryAfterS: null });
    });
    signal?.addEventListener("abort", abort, { once: true });
    send({ answer: (reply) => process.after(LATENCY_MS, () => settle(reply)) });
  });
}

export function simulateCaller(network: Network, blobs: MemoryBlobs): Caller {
  const { world, process } = network;
  return {
    async call(task, payload, baseUrl, signal) {
      signal.throwIfAborted();
      refuseDamaged(world, payload);
      const server = serverAt(network, baseUrl);
      const call = world.nextCall();
      const startedAtMs = process.clock.elapsed();
      const runName = isTraining(task.task) ? runNameOf(task) : null;
      const bytes = payload.kind === "inline" ? payload.bytes.length : payload.size;
      world.tell({ type: "sent", process: process.number, call, task: task.uuid, attempt: task.attempt });
      const reply = await exchange(network, { timeoutMs: world.plan.responseTimeoutMs, signal }, (request) =>
        server.take({ ...request, call, runName, bytes }),
      );
      const { how, status } = reply;
      world.tell({ type: "heard", call, how, status, retryAfterMs: 1_000 * (reply.retryAfterS ?? 0) });
      return callResult(reply, blobs, process.clock.elapsed() - startedAtMs);
    },
    close: async () => {},
  };
}

function refuseDamaged(world: World, payload: StoredBody): void {
  if (world.textOf(payload) === undefined) throw new SluiceError("RESULT_DAMAGED", "the payload's file is missing");
}

async function callResult(reply: Reply, blobs: MemoryBlobs, upstreamMs: number): Promise<CallResult> {
  const { how, status, text, retryAfterS } = reply;
  if (how !== "answer" && how !== "busy") return { kind: "failure", failure: how, sent: how !== "refused", upstreamMs };
  const body = await blobs.keep(Buffer.from(text));
  const headers = retryAfterS === null ? [] : ["Retry-After", String(retryAfterS)];
  return { kind: "answer", answer: { status, headers, body, upstreamMs } };
}

const CODES: Readonly<Record<Exclude<Heard, "answer" | "busy">, string>> = {
  refused: "ECONNREFUSED",
  cut: "ECONNRESET",
  timeout: "UND_ERR_HEADERS_TIMEOUT",
  protocol: "HPE_INVALID_CONSTANT",
};

export function simulateHttp(network: Network): HttpClient {
  return {
    async call(call) {
      const server = serverAt(network, call.origin);
      const bounds = { timeoutMs: call.headersTimeoutMs ?? 30_000, signal: call.signal };
      call.signal?.throwIfAborted();
      const reply = await exchange(network, bounds, (request) => ask(server, call, request));
      if (reply.how === "answer" || reply.how === "busy") return httpAnswer(reply);
      throw Object.assign(new Error(reply.how), { code: CODES[reply.how] });
    },
    close: async () => {},
  };
}

function ask(server: SimulatedServer, { path }: HttpCall, request: Request): void {
  if (path.startsWith("/train_eval_info")) server.runInfo(decodeURIComponent(path.split("=")[1]!), request);
  else if (path.startsWith("/train_eval_metrics")) server.metrics(request);
  else if (path.startsWith("/cancel_training")) server.cancelRun(request);
  else server.health(path, request);
}

function httpAnswer({ status, text }: Reply): HttpAnswer {
  const body = {
    text: async () => text,
    json: async () => JSON.parse(text),
    dump: async () => {},
    async *[Symbol.asyncIterator]() {
      yield Buffer.from(text);
    },
  };
  return { status, headers: {}, body: body as unknown as HttpAnswer["body"] };
}
