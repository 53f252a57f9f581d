import { missing, refuseAsInvalid, refuseWithDetail } from "./errors.js";
import type { Call } from "./http.js";

export interface FilePart {
  readonly fileName: string;
  readonly content: Buffer;
}

/** Uploaded files and text fields, by field name, in order. */
export interface Form {
  readonly files: ReadonlyMap<string, readonly FilePart[]>;
  readonly fields: ReadonlyMap<string, readonly string[]>;
}

const MAX_FIELD_BYTES = 1_048_576;
const MAX_FILES = 1_000;
const MAX_FIELDS = 1_000;
const MAX_PART_HEADER_BYTES = 16_384;

/**
 * Reads a form, multipart or urlencoded; any other content type counts as an empty form.
 * @throws 400 D for a malformed multipart body or one beyond the limits
 */
export async function readForm(call: Call): Promise<Form> {
  const contentType = call.header("content-type") ?? "";
  const mediaType = contentType.split(";", 1)[0]!.trim().toLowerCase();
  if (mediaType === "multipart/form-data") {
    const boundary = /;\s*boundary=(?:"([^"]{1,200})"|([^\s;]{1,200}))/iu.exec(contentType);
    if (boundary !== null) return parseMultipart(call.limitedChunks(), boundary[1] ?? boundary[2]!);
    await call.drain();
    throw refuseWithDetail(400, "Missing boundary in multipart.");
  }
  const body = await call.readBody();
  const fields = new Map<string, string[]>();
  if (mediaType === "application/x-www-form-urlencoded") {
    for (const [name, value] of new URLSearchParams(body.toString("utf8"))) append(fields, name, value);
  }
  return { files: new Map(), fields };
}

/** @throws 422 V when no file came under that name */
export function requireFiles(form: Form, name: string): readonly FilePart[] {
  const files = form.files.get(name);
  if (files === undefined) throw refuseAsInvalid([missing(["body", name])]);
  return files;
}

/** Takes a multipart body apart as it arrives: only the parts' contents are kept, never the raw body. */
export async function parseMultipart(source: AsyncIterable<Buffer>, boundary: string): Promise<Form> {
  const parser = new MultipartParser(boundary);
  for await (const chunk of source) parser.push(chunk);
  return parser.finish();
}

interface OpenPart {
  readonly name: string;
  readonly fileName: string | null;
  readonly chunks: Buffer[];
  bytes: number;
}

class MultipartParser {
  readonly #files = new Map<string, FilePart[]>();
  readonly #fields = new Map<string, string[]>();
  readonly #delimiter: Buffer;
  #counts = { files: 0, fields: 0 };
  // The first boundary may stand at the very start of the body; every later one follows a line break.
  #pending: Buffer = Buffer.from("\r\n");
  #state: "preamble" | "boundary" | "headers" | "content" | "end" = "preamble";
  #part: OpenPart | null = null;

  constructor(boundary: string) {
    this.#delimiter = Buffer.from(`\r\n--${boundary}`, "latin1");
  }

  push(chunk: Buffer): void {
    this.#pending = Buffer.concat([this.#pending, chunk]);
    while (this.#step());
  }

  finish(): Form {
    if (this.#state !== "end") throw refuseWithDetail(400, "The multipart body ends before its last boundary.");
    return { files: this.#files, fields: this.#fields };
  }

  /** @returns whether there is more to do with what is pending */
  #step(): boolean {
    switch (this.#state) {
      case "preamble":
      case "content":
        return this.#readUpToBoundary();
      case "boundary":
        return this.#readBoundaryEnd();
      case "headers":
        return this.#readHeaders();
      case "end":
        this.#pending = Buffer.alloc(0);
        return false;
    }
  }

  #readUpToBoundary(): boolean {
    const at = this.#pending.indexOf(this.#delimiter);
    // A boundary may be split between two chunks: keep back what could be its beginning.
    const safe = at >= 0 ? at : Math.max(0, this.#pending.length - this.#delimiter.length + 1);
    this.#append(this.#pending.subarray(0, safe));
    this.#pending = this.#pending.subarray(at >= 0 ? at + this.#delimiter.length : safe);
    if (at < 0) return false;
    this.#closePart();
    this.#state = "boundary";
    return true;
  }

  #readBoundaryEnd(): boolean {
    if (this.#pending.length < 2) return false;
    const next = this.#pending.toString("latin1", 0, 2);
    if (next !== "\r\n" && next !== "--")
      throw refuseWithDetail(400, "A multipart boundary is followed by something else.");
    this.#state = next === "--" ? "end" : "headers";
    // The line break stays, so that a part without headers is found as well.
    if (next === "--") this.#pending = this.#pending.subarray(2);
    return true;
  }

  #readHeaders(): boolean {
    const at = this.#pending.indexOf("\r\n\r\n");
    if (at > MAX_PART_HEADER_BYTES || (at < 0 && this.#pending.length > MAX_PART_HEADER_BYTES)) {
      throw refuseWithDetail(400, "The headers of a multipart part are too long.");
    }
    if (at < 0) return false;
    this.#openPart(this.#pending.toString("utf8", 0, at));
    this.#pending = this.#pending.subarray(at + 4);
    this.#state = "content";
    return true;
  }

  #openPart(headers: string): void {
    const disposition = /^content-disposition:(.*)$/imu.exec(headers)?.[1] ?? "";
    const name = /;\s*name="([^"]*)"/iu.exec(disposition)?.[1] ?? /;\s*name=([^\s;"]+)/iu.exec(disposition)?.[1];
    if (name === undefined)
      throw refuseWithDetail(400, 'The Content-Disposition header field "name" must be provided.');
    const fileName =
      /;\s*filename="([^"]*)"/iu.exec(disposition)?.[1] ?? /;\s*filename=([^\s;"]+)/iu.exec(disposition)?.[1] ?? null;
    const kind = fileName === null ? "fields" : "files";
    const limit = fileName === null ? MAX_FIELDS : MAX_FILES;
    if (++this.#counts[kind] > limit)
      throw refuseWithDetail(400, `Too many ${kind}. Maximum number of ${kind} is ${limit}.`);
    this.#part = { name, fileName, chunks: [], bytes: 0 };
  }

  #append(content: Buffer): void {
    const part = this.#part;
    if (part === null || content.length === 0) return;
    part.bytes += content.length;
    if (part.fileName === null && part.bytes > MAX_FIELD_BYTES)
      throw refuseWithDetail(400, "Part exceeded maximum size of 1024KB.");
    part.chunks.push(content);
  }

  #closePart(): void {
    const part = this.#part;
    if (part === null) return;
    this.#part = null;
    const content = Buffer.concat(part.chunks);
    if (part.fileName === null) append(this.#fields, part.name, content.toString("utf8"));
    else append(this.#files, part.name, { fileName: part.fileName, content });
  }
}

function append<T>(map: Map<string, T[]>, name: string, value: T): void {
  const values = map.get(name);
  if (values === undefined) map.set(name, [value]);
  else values.push(value);
}
