/** JSON bodies as CMG takes them: read whole within bounds, then held against a schema. */
import type { FastifyRequest } from "fastify";
import type { z } from "zod";
import { SluiceError } from "../../core/contract/errors.js";
import { jsonFaultAt } from "./json-fault.js";
import { type Item, itemsOf, missing, notAnObject, refuse } from "./refused.js";

const DEFAULT_MAX_BYTES = 256 * 1024;
const MAX_DROPPED_BYTES = 64 * 2 ** 20;
const TIMEOUT_MS = 30_000;

/** `none`: empty, or JSON's null; `text`: of another content type than JSON. */
export type GivenBody =
  | { readonly kind: "none" }
  | { readonly kind: "text"; readonly value: string }
  | { readonly kind: "json"; readonly value: unknown };

/** @throws INVALID_PARAMETER when it is not JSON, BODY_TOO_LARGE, BODY_TIMEOUT, CLIENT_GONE */
export async function readBody(request: FastifyRequest, maxBytes: number = DEFAULT_MAX_BYTES): Promise<GivenBody> {
  const bytes = await collect(request.raw, maxBytes);
  if (bytes.length === 0) return { kind: "none" };
  if (!isJsonType(request.headers["content-type"])) return { kind: "text", value: bytes.toString("utf8") };
  const value = parse(bytes);
  return value === null ? { kind: "none" } : { kind: "json", value };
}

/**
 * What is too large is read to its end all the same, and dropped: an answer in the middle of a body is lost to whoever still sends it.
 */
function collect(stream: FastifyRequest["raw"], maxBytes: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let chunks: Buffer[] = [];
    let size = 0;
    const fail = (error: SluiceError) => {
      clearTimeout(timer);
      stream.pause();
      reject(error);
    };
    const timer = setTimeout(
      () => fail(new SluiceError("BODY_TIMEOUT", `the body was not there after ${TIMEOUT_MS / 1_000} s`)),
      TIMEOUT_MS,
    );
    stream.on("data", (chunk: Buffer) => {
      size += chunk.byteLength;
      if (size <= maxBytes) chunks.push(chunk);
      else chunks = [];
      if (size > MAX_DROPPED_BYTES) fail(tooLarge(maxBytes));
    });
    stream.once("end", () => {
      if (size > maxBytes) return fail(tooLarge(maxBytes));
      clearTimeout(timer);
      resolve(Buffer.concat(chunks));
    });
    stream.once("error", () => fail(new SluiceError("CLIENT_GONE", "the caller hung up")));
  });
}

function tooLarge(maxBytes: number): SluiceError {
  return new SluiceError("BODY_TOO_LARGE", `the body is larger than ${maxBytes} bytes`, {
    hint: "Send a smaller one.",
  });
}

/** `application/json`, anything `…+json`, and no word at all. */
function isJsonType(header: string | undefined): boolean {
  const mediaType = header?.split(";", 1)[0]?.trim().toLowerCase() ?? "";
  return mediaType === "" || /^application\/(?:[^/]+\+)?json$/.test(mediaType);
}

const UTF8 = new TextDecoder("utf-8", { fatal: true });

function parse(bytes: Buffer): unknown {
  let text = "";
  try {
    text = UTF8.decode(bytes);
    return JSON.parse(text);
  } catch (caught) {
    const isText = caught instanceof SyntaxError;
    const at = isText ? jsonFaultAt(text) : 0;
    const error = isText ? "This is where it stops being JSON" : "The text is not UTF-8";
    throw refuse("the body is not JSON", [
      { type: "json_invalid", loc: ["body", at], msg: "JSON decode error", input: {}, ctx: { error } },
    ]);
  }
}

/** A body that must be there. @throws INVALID_PARAMETER with an item for everything that is wrong */
export function validated<Shape extends z.ZodType>(schema: Shape, body: GivenBody): z.output<Shape> {
  if (body.kind === "none") throw refuse("the body is missing", [missing(["body"], null)]);
  if (body.kind === "text") throw refuse("the body is not sent as JSON", [notAnObject(["body"], body.value)]);
  return check(schema, body.value);
}

/** A body that may be missing; anything but an object lacks every field, as CMG has it. @throws INVALID_PARAMETER */
export function validatedFields<Shape extends z.ZodObject>(schema: Shape, body: GivenBody): z.output<Shape> {
  if (body.kind === "none") return check(schema, {});
  if (body.kind === "text" || typeof body.value !== "object" || Array.isArray(body.value)) {
    const items = Object.keys(schema.shape).map((field) => missing(["body", field], null));
    throw refuse("the body is not a JSON object", items);
  }
  return check(schema, body.value);
}

function check<Shape extends z.ZodType>(schema: Shape, given: unknown): z.output<Shape> {
  const parsed = schema.safeParse(given);
  if (parsed.success) return parsed.data;
  const items = itemsOf(parsed.error.issues, given);
  throw refuse(`the body's ${namesOf(items)} not valid`, items);
}

/** Fields, by the names our own schemas give them. */
function namesOf(items: readonly Item[]): string {
  const names = [...new Set(items.map(({ loc }) => loc.slice(1).join(".")))].map((name) =>
    name === "" ? "form" : `'${name}'`,
  );
  return `${names.join(", ")} ${names.length === 1 ? "is" : "are"}`;
}
