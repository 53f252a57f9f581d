/** A file on its way into the registry, whatever happens to the connection: sent in one go, and from where it stands after each break. */
import { createReadStream } from "node:fs";
import { PassThrough, type Readable, Transform } from "node:stream";
import type { UploadObject, UploadRequest, VersionObject, VersionPage } from "../core/contract/registry-api.js";
import type { SluiceClient } from "./client.js";
import { CliError, EXIT } from "./exit.js";
import { Patience } from "./patience.js";
import { modelPath } from "./registry-paths.js";
import { showTransfer, type TransferProgress } from "./transfer-progress.js";

/** While the last bytes are being made durable, silence of this length means the connection is dead. */
const SILENCE_MS = 120_000;
/** For telling Sluice that nothing more comes, when somebody waits for the command's end. */
const FAREWELL_MS = 2_000;

export interface FileUpload {
  readonly modelId: string;
  readonly file: string;
  readonly header: UploadRequest & { readonly sha256: string };
  /** Make the model if it is not there. */
  readonly create: boolean;
  readonly signal: AbortSignal;
}

/**
 * @returns the version it became
 * @throws CliError `usage` when the file cannot be read, `failed` when it is refused, `unreachable` after a minute in which nothing
 * moved, `interrupted`; no version is there then
 */
export async function uploadFile(client: SluiceClient, push: FileUpload): Promise<VersionObject> {
  const patience = new Patience(client, push.signal);
  let id: string | null = null;
  try {
    const begun = await begin(client, push, patience);
    id = begun.upload_id;
    return await sendAll(client, push, { id, patience, newest: await newestOf(client, push) });
  } catch (caught) {
    const isGone = caught instanceof CliError && caught.exitCode === EXIT.unreachable;
    if (id !== null && !isGone) await giveUp(client, id);
    throw push.signal.aborted ? stopped(caught) : caught;
  }
}

async function begin(client: SluiceClient, push: FileUpload, patience: Patience): Promise<UploadObject> {
  const { modelId, header, create, signal } = push;
  for (;;) {
    try {
      return await client.json<UploadObject>({
        method: "POST",
        path: `${modelPath(modelId)}/uploads${create ? "?create=true" : ""}`,
        headers: { "content-type": "application/json" },
        body: Buffer.from(JSON.stringify(header)),
        signal,
      });
    } catch (caught) {
      if (caught instanceof CliError && caught.status === 404) throw withHint(caught, "--create makes it.");
      await patience.rest(caught);
    }
  }
}

function withHint({ exitCode, message, status, cause }: CliError, hint: string): CliError {
  return new CliError(exitCode, message, { hint, cause, ...(status === undefined ? {} : { status }) });
}

/** The newest version's number before ours. */
export async function newestOf(client: SluiceClient, { modelId, signal }: FileUpload): Promise<number> {
  const { latest_version: latest } = await client.json<{ latest_version: VersionObject | null }>({
    path: modelPath(modelId),
    signal,
  });
  return latest?.version_number ?? 0;
}

interface Sending {
  readonly id: string;
  readonly patience: Patience;
  readonly newest: number;
}

async function sendAll(
  client: SluiceClient,
  push: FileUpload,
  { id, patience, newest }: Sending,
): Promise<VersionObject> {
  const progress = showTransfer("Uploading", push.header.data_bytes);
  let offset = 0;
  try {
    for (;;) {
      try {
        return await sendPart(client, push, {
          method: "PATCH",
          path: `/registry/uploads/${id}`,
          headers: { "upload-offset": String(offset) },
          offset,
          progress,
        });
      } catch (caught) {
        await patience.rest(caught, progress);
      }
      try {
        const there = await offsetOf(client, push, id);
        if (there > offset) patience.moved();
        offset = there;
      } catch (caught) {
        // The version came to be, and the answer that said so was lost.
        const made = isUnknown(caught) ? await madeSince(client, push, newest) : null;
        if (made !== null) return made;
        await patience.rest(caught, progress);
      }
    }
  } finally {
    progress.end();
  }
}

const isUnknown = (caught: unknown) => caught instanceof CliError && caught.status === 404;

interface Part {
  readonly method: "PATCH" | "POST";
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Of the first byte that is sent. */
  readonly offset: number;
  readonly progress: TransferProgress;
}

/** The file from one byte on to its end, in one request that answers with the version. */
export async function sendPart(client: SluiceClient, push: FileUpload, part: Part): Promise<VersionObject> {
  const { file, header, signal } = push;
  const { data_bytes: bytes } = header;
  const { method, path, headers, offset, progress } = part;
  const rest = bytes - offset;
  let sent = offset;
  let fault: CliError | null = null;
  const body = partOf(file, offset, bytes, (more) => {
    sent += more;
    progress.at(sent);
  });
  // A connection's own fault ends the stream too, and is none of the file's.
  body.once("error", (caught) => {
    if (caught instanceof CliError) fault = caught;
  });
  try {
    return await client.json<VersionObject>({
      method,
      path,
      headers: {
        ...headers,
        "content-type": "application/octet-stream",
        "content-length": String(rest),
      },
      ...(rest === 0 ? {} : { body }),
      silenceMs: SILENCE_MS,
      signal,
    });
  } catch (caught) {
    throw fault ?? caught;
  } finally {
    body.destroy();
  }
}

/** The bytes from one place to before another. */
function partOf(file: string, from: number, to: number, onBytes: (bytes: number) => void): Readable {
  if (from >= to) return new PassThrough().end();
  const source = createReadStream(file, { start: from, end: to - 1, highWaterMark: 256 * 1024 });
  let left = to - from;
  const counted = new Transform({
    transform(chunk: Buffer, _encoding, next) {
      left -= chunk.length;
      onBytes(chunk.length);
      next(null, chunk);
    },
    flush(next) {
      next(left === 0 ? null : new CliError(EXIT.failed, `${file} became shorter while it was sent`));
    },
  });
  source.once("error", (caught) => counted.destroy(unreadable(file, caught)));
  counted.once("close", () => source.destroy());
  return source.pipe(counted);
}

async function offsetOf(client: SluiceClient, { signal }: FileUpload, id: string): Promise<number> {
  return (await client.json<UploadObject>({ path: `/registry/uploads/${id}`, signal })).offset;
}

export async function madeSince(client: SluiceClient, push: FileUpload, newest: number): Promise<VersionObject | null> {
  const { modelId, header, signal } = push;
  for (let from: number | null = newest + 1; from !== null; ) {
    const path = `${modelPath(modelId)}/versions?from=${from}`;
    const page: VersionPage = await client.json<VersionPage>({ path, signal });
    const made = page.versions.find((version) => version.sha256 === header.sha256);
    if (made !== undefined) return made;
    from = page.next;
  }
  return null;
}

/** Nobody can go on with it: its bytes need not wait for their end. */
async function giveUp(client: SluiceClient, id: string): Promise<void> {
  const path = `/registry/uploads/${id}`;
  await client.call({ method: "DELETE", path, silenceMs: FAREWELL_MS }).catch(() => undefined);
}

export function unreadable(path: string, caught: unknown): CliError {
  const { code } = caught as NodeJS.ErrnoException;
  const why = code === "ENOENT" ? "there is no such file" : (code ?? (caught as Error).message);
  return new CliError(EXIT.usage, `cannot read ${path}: ${why}`, { cause: caught });
}

export function stopped(cause: unknown): CliError {
  return new CliError(EXIT.interrupted, "stopped before everything was sent; no version was made", { cause });
}
