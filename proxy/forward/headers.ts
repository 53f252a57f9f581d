/** Header blocks as raw flat arrays (name, value, name, value, …): order, case and duplicates survive. Pure. */
import { SluiceError } from "../../core/contract/errors.js";
import { HOP_BY_HOP } from "../../core/contract/hop-by-hop.js";

type RequestField = "keep" | "drop" | "ours" | "prefer" | "host" | "connection" | "coding";

function decideRequestField(name: string): RequestField {
  const lower = name.toLowerCase();
  if (lower === "host" || lower === "prefer" || lower === "connection") return lower;
  if (lower === "transfer-encoding") return "coding";
  if (HOP_BY_HOP.has(lower) || lower === "expect" || lower === "proxy-authorization") return "drop";
  if (lower.startsWith("x-forwarded-") || lower === "forwarded" || lower === "x-real-ip") return "drop";
  if (lower === "x-request-id") return "drop";
  if (lower.startsWith("x-sluice-") || lower === "sluice-callback") return "ours";
  return "keep";
}

/** Names repeat from request to request, so each is judged once. Bounded: a client may invent as many names as it likes. */
function remember<T>(decide: (name: string) => T): (name: string) => T {
  const known = new Map<string, T>();
  return (name) => {
    const found = known.get(name);
    if (found !== undefined) return found;
    const decided = decide(name);
    if (known.size < 1_024) known.set(name, decided);
    return decided;
  };
}

const requestField = remember(decideRequestField);

export interface RequestHeadOptions {
  /** Address of the client's end of the connection. */
  readonly peer: string;
  /** From an absolute-form target; null: the Host header. */
  readonly authority: string | null;
  /** Empty under an alias and for the sidecar. */
  readonly prefix: string;
  readonly requestId: string;
  /** X-Sluice-*, Sluice-Callback and Prefer are for the sidecar; a model server sees Prefer only where nobody of ours consumes it. */
  readonly keep: "all" | "prefer" | "none";
}

export interface RequestHead {
  readonly headers: string[];
  /** The Host that was passed on, empty when there was none. */
  readonly host: string;
}

/**
 * The header block for the next server.
 * @throws BAD_REQUEST for two Host fields or a transfer coding other than chunked
 */
export function requestHead(raw: readonly string[], options: RequestHeadOptions): RequestHead {
  const headers: string[] = [];
  let host = options.authority;
  let hosts = 0;
  let named: Set<string> | null = null;
  for (let index = 0; index < raw.length; index += 2) {
    const name = raw[index]!;
    const value = raw[index + 1]!;
    switch (requestField(name)) {
      case "keep":
        headers.push(name, value);
        break;
      case "prefer":
        if (options.keep !== "none") headers.push(name, value);
        break;
      case "ours":
        if (options.keep === "all") headers.push(name, value);
        break;
      case "host":
        hosts += 1;
        host ??= value;
        break;
      case "connection":
        named = addNamed(named, value);
        break;
      case "coding":
        if (value.trim().toLowerCase() !== "chunked") {
          throw new SluiceError("BAD_REQUEST", "the transfer coding of the body must be 'chunked' alone");
        }
        break;
      case "drop":
        break;
    }
  }
  if (hosts > 1) throw new SluiceError("BAD_REQUEST", "the request carries more than one Host header");
  const kept = named === null ? headers : without(headers, named);
  addForwarded(kept, host ?? "", options);
  return { headers: kept, host: host ?? "" };
}

function addForwarded(headers: string[], host: string, options: RequestHeadOptions): void {
  if (host !== "") headers.push("host", host);
  headers.push("x-forwarded-for", options.peer, "x-forwarded-proto", "http");
  if (host !== "") headers.push("x-forwarded-host", host);
  if (options.prefix !== "") headers.push("x-forwarded-prefix", options.prefix);
  headers.push("x-request-id", options.requestId);
}

/** Fields that a Connection header names travel one hop only; the usual two words name none. */
function addNamed(named: Set<string> | null, value: string): Set<string> | null {
  if (value === "keep-alive" || value === "close") return named;
  const result = named ?? new Set<string>();
  for (const token of value.split(",")) result.add(token.trim().toLowerCase());
  // Message framing is the parser's: a client must not talk us out of it.
  for (const never of ["content-length", "content-type", "host"]) result.delete(never);
  return result;
}

function without(headers: readonly string[], named: ReadonlySet<string>): string[] {
  const kept: string[] = [];
  for (let index = 0; index < headers.length; index += 2) {
    if (!named.has(headers[index]!.toLowerCase())) kept.push(headers[index]!, headers[index + 1]!);
  }
  return kept;
}

type ResponseField =
  | "keep"
  | "drop"
  | "location"
  | "set-cookie"
  | "connection"
  | "coding"
  | "type"
  | "length"
  | "trailer";

function decideResponseField(name: string): ResponseField {
  const lower = name.toLowerCase();
  switch (lower) {
    case "location":
    case "set-cookie":
    case "connection":
    case "trailer":
      return lower;
    case "transfer-encoding":
      return "coding";
    case "content-type":
      return "type";
    case "content-length":
      return "length";
    case "x-request-id":
      return "drop";
    default:
      return HOP_BY_HOP.has(lower) ? "drop" : "keep";
  }
}

const responseField = remember(decideResponseField);

export interface ResponseHeadOptions {
  readonly prefix: string;
  /** The Host the client sent. */
  readonly host: string;
  /** `host:port` of the model server. */
  readonly upstreamHost: string;
  /** Path the model server's URL ends in, without trailing slash; usually empty. */
  readonly basePath: string;
}

export interface ResponseHead {
  readonly headers: string[];
  /** The Content-Length, or -1. */
  readonly contentLength: number;
  readonly isEventStream: boolean;
}

/**
 * The header block for the client; the caller appends its own fields.
 * @param raw names and values as undici gives them: buffers, Latin-1
 * @throws UPSTREAM_PROTOCOL for a transfer coding other than chunked
 */
export function responseHead(raw: readonly Buffer[], options: ResponseHeadOptions): ResponseHead {
  const headers: string[] = [];
  let contentLength = -1;
  let lengthAt = -1;
  let isEventStream = false;
  let trailer: string | null = null;
  let named: Set<string> | null = null;
  for (let index = 0; index < raw.length; index += 2) {
    const name = raw[index]!.toString("latin1");
    const value = raw[index + 1]!.toString("latin1");
    switch (responseField(name)) {
      case "keep":
        headers.push(name, value);
        break;
      case "type":
        isEventStream = value.startsWith("text/event-stream");
        headers.push(name, value);
        break;
      case "length":
        contentLength = Number(value);
        lengthAt = headers.length;
        headers.push(name, value);
        break;
      case "location":
        headers.push(name, rewriteLocation(value, options));
        break;
      case "set-cookie":
        headers.push(name, rewriteCookie(value, options.prefix));
        break;
      case "connection":
        named = addNamed(named, value);
        break;
      case "coding":
        if (value.trim().toLowerCase() !== "chunked") {
          throw new SluiceError("UPSTREAM_PROTOCOL", "the model server answered in an unknown transfer coding");
        }
        break;
      case "trailer":
        trailer = value;
        break;
      case "drop":
        break;
    }
  }
  // Node refuses to announce trailers where no chunks carry them.
  if (trailer !== null && contentLength === -1) headers.push("Trailer", trailer);
  if (lengthAt !== -1) moveLengthBehindDisposition(headers, lengthAt);
  return { headers: named === null ? headers : without(headers, named), contentLength, isEventStream };
}

/** Node re-encodes a Content-Disposition that comes after a Content-Length; with bytes above ASCII that changes them. */
function moveLengthBehindDisposition(headers: string[], lengthAt: number): void {
  for (let index = lengthAt + 2; index < headers.length; index += 2) {
    if (headers[index]!.length !== 19 || headers[index]!.toLowerCase() !== "content-disposition") continue;
    if (/^[\x20-\x7e]*$/.test(headers[index + 1]!)) continue;
    headers.push(...headers.splice(lengthAt, 2));
    return;
  }
}

const ABSOLUTE = /^(?:https?:)?\/\/([^/?#]*)(.*)$/is;

/** Points a redirect at the gateway: a path below the prefix, whichever of our two names the model server used for itself. */
export function rewriteLocation(value: string, options: ResponseHeadOptions): string {
  let path = value;
  const absolute = ABSOLUTE.exec(value);
  if (absolute !== null) {
    const authority = absolute[1]!.toLowerCase();
    if (authority !== options.host.toLowerCase() && authority !== options.upstreamHost.toLowerCase()) return value;
    path = absolute[2]!.startsWith("/") ? absolute[2]! : `/${absolute[2]!}`;
    // An empty first segment would read as another host.
    if (path.startsWith("//")) return value;
  }
  if (!path.startsWith("/")) return value;
  if (isBelow(path, options.prefix)) return path;
  const own = options.basePath !== "" && isBelow(path, options.basePath) ? path.slice(options.basePath.length) : path;
  return options.prefix + (own.startsWith("/") || own === "" ? own : `/${own}`);
}

const COOKIE_PATH = /(;\s*path\s*=\s*)([^;]*)/i;

/** Model servers behind one host name must not overwrite each other's cookie of the same name (reference cms-api 4). */
export function rewriteCookie(value: string, prefix: string): string {
  if (prefix === "") return value;
  return value.replace(COOKIE_PATH, (whole, lead: string, path: string) => {
    const plain = path.trim();
    if (!plain.startsWith("/") || isBelow(plain, prefix)) return whole;
    return `${lead}${prefix}${plain}`;
  });
}

function isBelow(path: string, prefix: string): boolean {
  if (prefix === "" || !path.startsWith(prefix)) return false;
  const next = path.charAt(prefix.length);
  return next === "" || next === "/" || next === "?" || next === "#";
}

/** Where the time went, in milliseconds: waiting in the queue, in the model server, in Sluice itself. */
export function serverTiming(queueMs: number, upstreamMs: number, gatewayMs: number): string {
  return `queue;dur=${tenths(queueMs)}, upstream;dur=${tenths(upstreamMs)}, gateway;dur=${tenths(gatewayMs)}`;
}

function tenths(ms: number): number {
  return Math.round(ms * 10) / 10;
}
