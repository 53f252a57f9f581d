/** What `submit` sends: a file, stdin, or a multipart form, always streamed. */
import { randomBytes } from "node:crypto";
import { createReadStream, type Stats } from "node:fs";
import { stat } from "node:fs/promises";
import { basename } from "node:path";
import { Readable } from "node:stream";
import { CliError, EXIT } from "./exit.js";

export interface Payload {
  readonly contentType: string;
  /** Null when it is only known at the end (stdin). */
  readonly totalBytes: number | null;
  /** Opens the bytes; each piece is reported as it goes out. */
  open(onBytes: (bytes: number) => void): Readable;
}

/** A file, or stdin for `-`. @throws CliError when it cannot be read */
export async function filePayload(path: string, contentType: string): Promise<Payload> {
  if (path === "-") return { contentType, totalBytes: null, open: (onBytes) => counted(process.stdin, onBytes) };
  const { size } = await statFile(path);
  return { contentType, totalBytes: size, open: (onBytes) => counted(createReadStream(path), onBytes) };
}

export function emptyPayload(contentType: string): Payload {
  return { contentType, totalBytes: 0, open: () => Readable.from([]) };
}

/** Parts of a multipart form as they were typed: `name=text` or `name=@file`. */
export type FormParts = readonly (readonly [name: string, value: string])[];

/** @throws CliError when a file of it cannot be read */
export async function formPayload(parts: FormParts): Promise<Payload> {
  const boundary = `sluice-${randomBytes(18).toString("hex")}`;
  const pieces: (Buffer | { readonly path: string; readonly size: number })[] = [];
  for (const [name, value] of parts) {
    const path = value.startsWith("@") ? value.slice(1) : null;
    const disposition = `--${boundary}\r\ncontent-disposition: form-data; name="${quote(name)}"`;
    if (path === null) {
      pieces.push(Buffer.from(`${disposition}\r\n\r\n${value}\r\n`));
    } else {
      const { size } = await statFile(path);
      const type = path.endsWith(".json") ? "application/json" : "application/octet-stream";
      pieces.push(Buffer.from(`${disposition}; filename="${quote(basename(path))}"\r\ncontent-type: ${type}\r\n\r\n`));
      pieces.push({ path, size }, Buffer.from("\r\n"));
    }
  }
  pieces.push(Buffer.from(`--${boundary}--\r\n`));
  const sizeOf = (piece: (typeof pieces)[number]) => (Buffer.isBuffer(piece) ? piece.length : piece.size);
  async function* bytes() {
    for (const piece of pieces) {
      if (Buffer.isBuffer(piece)) yield piece;
      else yield* createReadStream(piece.path);
    }
  }
  return {
    contentType: `multipart/form-data; boundary=${boundary}`,
    totalBytes: pieces.reduce((sum, piece) => sum + sizeOf(piece), 0),
    open: (onBytes) => counted(bytes(), onBytes),
  };
}

function counted(source: AsyncIterable<Buffer>, onBytes: (bytes: number) => void): Readable {
  async function* count() {
    for await (const chunk of source) {
      onBytes(chunk.length);
      yield chunk;
    }
  }
  return Readable.from(count(), { objectMode: false, highWaterMark: 64 * 1024 });
}

async function statFile(path: string): Promise<Stats> {
  try {
    const found = await stat(path);
    if (!found.isFile()) throw new CliError(EXIT.usage, `${path} is not a file`);
    return found;
  } catch (caught) {
    if (caught instanceof CliError) throw caught;
    const { code } = caught as NodeJS.ErrnoException;
    const why = code === "ENOENT" ? "there is no such file" : code;
    throw new CliError(EXIT.usage, `cannot read ${path}: ${why}`, { cause: caught });
  }
}

/** As browsers write names inside a form's quotes. */
function quote(text: string): string {
  return text.replaceAll('"', "%22").replaceAll("\r", "%0D").replaceAll("\n", "%0A");
}
