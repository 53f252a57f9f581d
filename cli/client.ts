/** The command's way to a running Sluice: the public HTTP API, or for operators the sidecar's Unix socket. */
import type { Readable } from "node:stream";
import { socketPathOf } from "../config/load.js";
import type { ErrorEnvelope } from "../core/contract/errors.js";
import { createHttpClient, type HttpAnswer, type HttpCall, type HttpClient } from "../core/runtime/http.js";
import { readLock } from "./data-lock.js";
import { CliError, EXIT } from "./exit.js";
import { type GlobalFlags, loadConfiguration } from "./global-flags.js";
import { urlOf } from "./listening.js";
import { isAlive } from "./lock-owner.js";

export interface ClientFlags extends GlobalFlags {
  /** Overrides `SLUICE_URL` and the configuration. */
  readonly url?: string;
}

export interface ClientCall {
  readonly method?: HttpCall["method"];
  readonly path: string;
  readonly headers?: Record<string, string>;
  readonly body?: Readable | Buffer;
  /** Silence allowed before and inside the answer. Default 30_000. */
  readonly silenceMs?: number;
  readonly signal?: AbortSignal;
}

export class SluiceClient {
  /** Where it speaks to, for messages. */
  readonly where: string;
  readonly #otherWays: string;
  readonly #origin: string;
  readonly #prefix: string;
  readonly #http: HttpClient;

  constructor(url: string, socketPath?: string) {
    const { origin, pathname } = new URL(url);
    this.#origin = origin;
    this.#prefix = pathname.replace(/\/+$/, "");
    this.where = socketPath ?? url;
    this.#otherWays =
      socketPath === undefined
        ? "--url or SLUICE_URL names another one"
        : "--config or --data-dir names its data folder";
    this.#http = createHttpClient(socketPath === undefined ? {} : { socketPath });
  }

  /**
   * @throws CliError `unreachable` when nobody answers; `failed` with the answer's own words when it is not a 2xx
   */
  async call(call: ClientCall): Promise<HttpAnswer> {
    const silenceMs = call.silenceMs ?? 30_000;
    let answer: HttpAnswer;
    try {
      answer = await this.#http.call({
        method: call.method ?? "GET",
        origin: this.#origin,
        path: this.#prefix + call.path,
        headers: { "user-agent": "sluice-cli", ...call.headers },
        ...(call.body === undefined ? {} : { body: call.body }),
        ...(call.signal === undefined ? {} : { signal: call.signal }),
        headersTimeoutMs: silenceMs,
        bodyTimeoutMs: silenceMs,
      });
    } catch (caught) {
      call.signal?.throwIfAborted();
      throw this.explain(caught);
    }
    if (answer.status >= 200 && answer.status < 300) return answer;
    throw refusal(answer.status, answer.headers, await answer.body.text());
  }

  async json<T>(call: ClientCall): Promise<T> {
    const answer = await this.call(call);
    try {
      return (await answer.body.json()) as T;
    } catch (cause) {
      throw new CliError(EXIT.failed, `${this.where} answered something that is not JSON; is it Sluice?`, { cause });
    }
  }

  close(): Promise<void> {
    return this.#http.close();
  }

  /** What went wrong on the way, in words. */
  explain(caught: unknown): CliError {
    const { code } = caught as { code?: unknown };
    const why = typeof code === "string" ? (WHY[code] ?? code) : (caught as Error).message;
    return new CliError(EXIT.unreachable, `cannot reach Sluice at ${this.where}: ${why}`, {
      cause: caught,
      hint: `Is it running? 'sluice serve' starts it; ${this.#otherWays}.`,
    });
  }
}

const WHY: Readonly<Record<string, string>> = {
  ECONNREFUSED: "nobody listens there",
  ENOENT: "there is no such socket",
  ENOTFOUND: "there is no such host",
  EHOSTUNREACH: "there is no way to that host",
  ECONNRESET: "the connection was cut",
  EPIPE: "the connection was cut",
  UND_ERR_SOCKET: "the connection was cut",
  UND_ERR_CONNECT_TIMEOUT: "connecting took too long",
  UND_ERR_HEADERS_TIMEOUT: "it did not answer in time",
  UND_ERR_BODY_TIMEOUT: "its answer stopped",
};

function refusal(status: number, headers: HttpAnswer["headers"], text: string): CliError {
  const body = parseObject(text) as Partial<ErrorEnvelope> | null;
  const requestId = body?.error?.requestId ?? headers["x-request-id"];
  const message = body?.error?.message ?? wordsOf(body?.detail) ?? `refused with status ${status}`;
  return new CliError(EXIT.failed, message, {
    status,
    ...(body?.error?.hint === undefined ? {} : { hint: body.error.hint }),
    ...(typeof requestId === "string" ? { requestId } : {}),
  });
}

function wordsOf(detail: unknown): string | undefined {
  return typeof detail === "string" ? detail : detail === undefined ? undefined : JSON.stringify(detail);
}

function parseObject(text: string): object | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" ? value : null;
  } catch {
    return null;
  }
}

/** Opens the public API: `--url`, `SLUICE_URL`, else where the configuration says this machine's Sluice listens. */
export function openClient(flags: ClientFlags): SluiceClient {
  const url = flags.url ?? process.env.SLUICE_URL;
  if (url !== undefined && url !== "") return new SluiceClient(url.replace(/\/+$/, ""));
  const { config } = loadConfiguration(flags);
  // With port 0 only the running one knows its port; it writes it down in the data folder.
  const owner = config.proxy.port === 0 ? readLock(config.data_dir) : null;
  const running = owner !== null && isAlive(owner) ? owner.url : null;
  return new SluiceClient(running ?? urlOf(config.proxy.host, config.proxy.port));
}

/** Opens the sidecar's own socket: only for whoever may read the data folder. */
export function openOperatorClient(flags: GlobalFlags): SluiceClient {
  const { config } = loadConfiguration(flags);
  return new SluiceClient("http://sidecar", socketPathOf(config));
}

/** Runs `use` with a client that is closed afterwards. */
export async function withClient<T>(client: SluiceClient, use: (client: SluiceClient) => Promise<T>): Promise<T> {
  try {
    return await use(client);
  } finally {
    await client.close();
  }
}
