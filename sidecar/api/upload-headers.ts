/** The fields of a request that say how many bytes come, which, and where they go on. Pure. */
import type { IncomingHttpHeaders } from "node:http";
import { SluiceError } from "../../core/contract/errors.js";

/** From Upload-Length, else Content-Length. @throws LENGTH_REQUIRED, INVALID_HEADER */
export function declaredBytes(headers: IncomingHttpHeaders): number {
  const uploadLength = wholeNumber(headers, "upload-length");
  const contentLength = wholeNumber(headers, "content-length");
  if (uploadLength !== null && contentLength !== null && uploadLength !== contentLength) {
    throw new SluiceError("INVALID_HEADER", "Upload-Length and Content-Length do not say the same");
  }
  const bytes = uploadLength ?? contentLength;
  if (bytes !== null) return bytes;
  if (headers["transfer-encoding"] === undefined) return 0;
  throw new SluiceError("LENGTH_REQUIRED", "the request does not say how many bytes it brings");
}

/** @throws INVALID_HEADER */
export function uploadOffset(headers: IncomingHttpHeaders): number {
  const offset = wholeNumber(headers, "upload-offset");
  if (offset !== null) return offset;
  throw new SluiceError("INVALID_HEADER", "the header Upload-Offset is missing", {
    hint: "Ask with HEAD how many bytes are there, and send the rest with that number in Upload-Offset.",
  });
}

function wholeNumber(headers: IncomingHttpHeaders, name: string): number | null {
  const value = headers[name];
  if (value === undefined) return null;
  if (typeof value === "string" && /^\d{1,15}$/.test(value.trim())) return Number(value);
  throw new SluiceError("INVALID_HEADER", `the header ${name} is not a whole number`);
}

const SHA_256 = /(?:^|,)\s*sha-256\s*=\s*([^,;]*)/i;
const BYTES = /^:([A-Za-z0-9+/]{43}=):$/;

/** The sha-256 of a Repr-Digest (RFC 9530) in base64; other algorithms are passed over. @throws INVALID_HEADER */
export function digestOf(headers: IncomingHttpHeaders): string | null {
  const value = headers["repr-digest"];
  const [, given] = typeof value === "string" ? (SHA_256.exec(value) ?? []) : [];
  if (given === undefined) return null;
  const [, hash] = BYTES.exec(given.trim()) ?? [];
  if (hash !== undefined) return hash;
  throw new SluiceError("INVALID_HEADER", "the sha-256 in Repr-Digest is not 32 bytes in base64 between colons");
}
