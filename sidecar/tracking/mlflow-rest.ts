/** One question to MLflow's REST API 2.0: its address, its credentials, its bounds, and what went wrong in words. */
import type { Clock } from "../../core/runtime/clock.js";
import { below, createHttpClient, readText } from "../../core/runtime/http.js";
import { within } from "../../core/runtime/within.js";
import type { TrackedRun } from "./tracked-run.js";

export interface MlflowAddress {
  /** `http(s)://host:port`, with a base path where it has one. Anything else is never asked. */
  readonly uri: string;
  /** Basic authentication; an empty name sends none. A name and password in the URI go before these. */
  readonly username: string;
  readonly password: string;
  /** Certificates (PEM) to check MLflow's against; null: the public ones. */
  readonly ca: string | null;
  /** Bound on one question, from connecting to the last byte. */
  readonly timeoutMs: number;
  readonly clock: Clock;
}

export interface MlflowRest {
  /** False for a store that is not asked over HTTP (`file:`, `databricks`). */
  readonly isAskable: boolean;
  /**
   * @param path below `/api/2.0/mlflow/`
   * @returns the JSON object, or {@link UNKNOWN}
   * @throws MlflowFault, or what the connection ended with
   */
  get(path: string, signal?: AbortSignal): Promise<Json | Unknown>;
  post(path: string, body: object, signal?: AbortSignal): Promise<Json | Unknown>;
  /**
   * A file of an artifact store, at most {@link MAX_FILE_BYTES} long.
   * @param path below the address, with its query
   */
  text(path: string, signal?: AbortSignal): Promise<string | Unknown>;
  close(): Promise<void>;
}

export type Json = Readonly<Record<string, unknown>>;

/** MLflow says itself that it has no such thing, or cannot make sense of the question; any other 4xx is not MLflow's. */
export const UNKNOWN = Symbol("unknown");
export type Unknown = typeof UNKNOWN;

/** `unknown`: MLflow says that there is no such thing. `away`: it cannot be asked, or answers nonsense. */
export type Asked<Value> = Value | "unknown" | "away";

const MAX_ANSWER_BYTES = 16 * 2 ** 20;
export const MAX_FILE_BYTES = 2 ** 20;

export class MlflowFault extends Error {
  constructor(
    readonly code: string,
    readonly status: number,
  ) {
    super(code);
  }
}

export function createMlflowRest(address: MlflowAddress): MlflowRest {
  const { ca, timeoutMs, clock } = address;
  const base = readBase(address);
  const http = createHttpClient({ connectTimeoutMs: timeoutMs, ...(ca === null ? {} : { ca }) });

  async function call(path: string, body: object | null, signal: AbortSignal) {
    if (base === null) throw new MlflowFault("NOT_ASKABLE", 0);
    const answer = await http.call({
      method: body === null ? "GET" : "POST",
      ...below(base.url, `/api/2.0/mlflow/${path}`),
      headers: { ...base.headers, ...(body === null ? {} : { "content-type": "application/json" }) },
      ...(body === null ? {} : { body: JSON.stringify(body) }),
      headersTimeoutMs: timeoutMs,
      bodyTimeoutMs: timeoutMs,
      signal,
    });
    return readAnswer(answer.status, await readText(answer.body, MAX_ANSWER_BYTES));
  }

  async function text(path: string, signal: AbortSignal): Promise<string | Unknown> {
    if (base === null) throw new MlflowFault("NOT_ASKABLE", 0);
    const { headers } = base;
    const bounds = { headersTimeoutMs: timeoutMs, bodyTimeoutMs: timeoutMs };
    const answer = await http.call({ method: "GET", ...below(base.url, path), headers, ...bounds, signal });
    const found = await readText(answer.body, MAX_FILE_BYTES);
    if (answer.status === 200) return found;
    // Whoever answers 404 for a file need not be MLflow itself: its store, a gate before its pages.
    if (answer.status === 404 || answer.status === 400) return UNKNOWN;
    throw new MlflowFault(`HTTP_${answer.status}`, answer.status);
  }

  return {
    isAskable: base !== null,
    get: (path, outer) => within(clock, timeoutMs, outer, (signal) => call(path, null, signal)),
    post: (path, body, outer) => within(clock, timeoutMs, outer, (signal) => call(path, body, signal)),
    text: (path, outer) => within(clock, timeoutMs, outer, (signal) => text(path, signal)),
    close: () => http.close(),
  };
}

function readAnswer(status: number, text: string): Json | Unknown {
  const json = parse(text);
  if ((status === 404 || status === 400) && typeof json?.error_code === "string") return UNKNOWN;
  if (status !== 200) throw new MlflowFault(`HTTP_${status}`, status);
  if (json === null) throw new MlflowFault("NOT_JSON", status);
  return json;
}

/** MLflow leaves an empty list out. @throws MlflowFault when it is something else */
export function listOf(value: unknown): Json[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw new MlflowFault("NOT_A_LIST", 200);
  return value as Json[];
}

function parse(text: string): Json | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Json) : null;
  } catch {
    return null;
  }
}

interface Base {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

function readBase({ uri, username, password }: MlflowAddress): Base | null {
  if (!URL.canParse(uri)) return null;
  const url = new URL(uri);
  if (url.protocol !== "http:" && url.protocol !== "https:") return null;
  const own = url.username !== "";
  const name = own ? decodeURIComponent(url.username) : username;
  const word = own ? decodeURIComponent(url.password) : password;
  const token = Buffer.from(`${name}:${word}`, "utf8").toString("base64");
  const headers = name === "" ? {} : { authorization: `Basic ${token}` };
  return { url: `${url.origin}${url.pathname}`, headers };
}

/** The page a person opens for a run; never with the URI's own name and password. */
export function runLink(uri: string, run: Pick<TrackedRun, "experimentId" | "runId">): string {
  const url = URL.canParse(uri) ? new URL(uri) : null;
  const bare = url === null || url.username === "" ? uri : `${url.protocol}//${url.host}${url.pathname}`;
  return `${bare.replace(/\/+$/, "")}/#/experiments/${run.experimentId}/runs/${run.runId}`;
}

const UNREACHED = ["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "EHOSTUNREACH", "ENETUNREACH", "UND_ERR_CONNECT_TIMEOUT"];

/** True when nobody was there at all: not an answer that is wrong, late or cut. */
export function isUnreached(cause: unknown): boolean {
  return UNREACHED.includes(String((cause as { code?: unknown } | null)?.code));
}

/** Why it cannot be asked, and what an operator can do about it. Never an address or an answer's text. */
export function describeFault(cause: unknown): { code: string; words: string } {
  const { code: given, name } = (cause ?? {}) as { code?: unknown; name?: unknown };
  const code = typeof given === "string" ? given : String(name ?? "error");
  return { code, words: wordsFor(cause instanceof MlflowFault ? cause.status : null) };
}

function wordsFor(status: number | null): string {
  if (status === 401 || status === 403) return "it refuses tracking.username and tracking.password";
  if (status === null) return "it is not reached at tracking.uri";
  if (status >= 500) return `it answers ${status}`;
  return "what answers at tracking.uri does not speak as MLflow does";
}
