import { constants, createHash, createPublicKey, publicEncrypt } from "node:crypto";
import { type Annotator, rewriteSpans, type Span } from "./annotate.js";

export interface Redaction {
  /** Concepts (label ids) whose spans stay. */
  readonly keep: readonly string[];
  /** Put in place of each span; null: the label's name in brackets. */
  readonly mask: string | null;
  /** Put each span's SHA-256 in its place; goes before `mask`. */
  readonly hash: boolean;
}

export interface EncryptedRedaction {
  readonly redacted_text: string;
  readonly encryptions: readonly { readonly label: string; readonly encryption: string }[];
}

/** @returns the redacted text, or null when nothing was found to redact */
export function redact(annotator: Annotator, text: string, { keep, mask, hash }: Redaction): string | null {
  const spans = annotator.find(text).filter(({ id }) => !keep.includes(id));
  if (spans.length === 0) return null;
  return rewriteSpans(text, spans, (span) => {
    if (hash) return createHash("sha256").update(text.slice(span.start, span.end)).digest("hex");
    return mask === null || mask === "" ? `[${span.name}]` : mask;
  });
}

/**
 * Replaces each span by a numbered label and encrypts what stood there with RSA-OAEP (SHA-256).
 * @returns null when nothing was found to redact
 * @throws Error for a key that is not one, or a span too long for it
 */
export function redactWithEncryption(
  annotator: Annotator,
  text: string,
  publicKeyPem: string,
): EncryptedRedaction | null {
  const key = createPublicKey(publicKeyPem);
  const spans = annotator.find(text);
  if (spans.length === 0) return null;
  const encrypt = (span: Span) =>
    publicEncrypt(
      { key, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: "sha256" },
      Buffer.from(text.slice(span.start, span.end)),
    ).toString("base64");
  return {
    redacted_text: rewriteSpans(text, spans, (_span, index) => labelOf(index)),
    encryptions: spans.map((span, index) => ({ label: labelOf(index), encryption: encrypt(span) })),
  };
}

function labelOf(index: number): string {
  return `[REDACTED_${index}]`;
}
