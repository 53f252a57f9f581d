/** What went wrong with a forwarded request: a kind first, from whatever undici or node threw; then one map to our errors. Pure. */
import { SluiceError } from "../../core/contract/errors.js";

/**
 * - `refused`: nobody listens · `connect-timeout`: nobody answered the connect · `timeout`: silent too long
 * - `cut`: it closed before its answer was whole · `protocol`: what it sent is not HTTP
 * - `unsendable`: the request itself cannot be written · `client-gone`: the caller left
 * - `late`: it failed after the head had gone to the client, where no status can tell any more
 */
export type FailureKind =
  | "refused"
  | "connect-timeout"
  | "timeout"
  | "cut"
  | "protocol"
  | "unsendable"
  | "client-gone"
  | "late";

export interface Failure {
  readonly kind: FailureKind;
  readonly cause: unknown;
}

const KINDS: Readonly<Record<string, FailureKind>> = {
  ECONNREFUSED: "refused",
  ENOENT: "refused",
  EHOSTUNREACH: "refused",
  ENETUNREACH: "refused",
  EHOSTDOWN: "refused",
  ENOTFOUND: "refused",
  EAI_AGAIN: "refused",
  EADDRNOTAVAIL: "refused",
  UND_ERR_CONNECT_TIMEOUT: "connect-timeout",
  ETIMEDOUT: "connect-timeout",
  UND_ERR_HEADERS_TIMEOUT: "timeout",
  UND_ERR_BODY_TIMEOUT: "timeout",
  UND_ERR_HEADERS_OVERFLOW: "protocol",
  UND_ERR_INVALID_ARG: "unsendable",
  UND_ERR_NOT_SUPPORTED: "unsendable",
  HPE_INVALID_EOF_STATE: "cut",
};

export function classifyFailure(caught: unknown): Failure {
  const code = codeOf(caught);
  const known = KINDS[code];
  if (known !== undefined) return { kind: known, cause: caught };
  // ERR_…: node refused to write a head with what came in it.
  if (code.startsWith("HPE_") || code.startsWith("ERR_")) return { kind: "protocol", cause: caught };
  const { name, message } = (caught ?? {}) as { name?: unknown; message?: unknown };
  // undici's parser leaves the code out; an end in the middle of an answer is a cut, everything else is not HTTP.
  if (name === "HTTPParserError" && !/\beof\b/i.test(String(message))) return { kind: "protocol", cause: caught };
  // undici's words for an answer nobody asked for, such as an unasked 100 or 101.
  if (message === "bad response" || message === "bad upgrade") return { kind: "protocol", cause: caught };
  return { kind: "cut", cause: caught };
}

function codeOf(caught: unknown): string {
  const { code, errors } = (caught ?? {}) as { code?: unknown; errors?: { code?: unknown }[] };
  if (typeof code === "string") return code;
  const first = errors?.[0]?.code;
  return typeof first === "string" ? first : "";
}

/**
 * The error a caller gets.
 * @param server the model's name, or "the sidecar"
 */
export function failureError(failure: Failure, server: string): SluiceError {
  const { kind, cause } = failure;
  switch (kind) {
    case "refused":
      return new SluiceError("UPSTREAM_REFUSED", `${server} refused the connection`, { cause, retryAfterMs: 2_000 });
    case "connect-timeout":
      return new SluiceError("UPSTREAM_TIMEOUT", `${server} did not accept a connection in time`, { cause });
    case "timeout":
      return new SluiceError("UPSTREAM_TIMEOUT", `${server} was silent too long`, { cause });
    case "cut":
    case "late":
      return new SluiceError("UPSTREAM_CUT", `${server} closed the connection before its answer was whole`, { cause });
    case "protocol":
      return new SluiceError("UPSTREAM_PROTOCOL", `${server} sent something that is not valid HTTP`, { cause });
    case "unsendable":
      return new SluiceError("BAD_REQUEST", "the request cannot be passed on as it is", { cause });
    case "client-gone":
      return new SluiceError("CLIENT_GONE", "the client closed the connection", { cause });
  }
}
