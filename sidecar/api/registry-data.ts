/** `GET` and `HEAD /registry/models/<model>/versions/<version>/data`: a version's bytes, whole, in part, or the news that the caller has them. */
import type { Readable } from "node:stream";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { SluiceError } from "../../core/contract/errors.js";
import type { VersionInfo } from "../../core/contract/registry.js";
import { hexOf } from "../../core/contract/registry-api.js";
import { decidePortion, type Portion } from "./byte-range.js";
import type { RegistryRouteDeps } from "./registry-deps.js";
import { type OfVersion, versionOf, versionPath } from "./registry-reference.js";
import { bothForms } from "./replies.js";

const CHUNK_BYTES = 256 * 1024;
/** Bodies sent at a time. Each that is not taken keeps a megabyte or so in this process and in the proxy. */
const MAX_SENT = 64;

export function registerRegistryData(app: FastifyInstance, deps: RegistryRouteDeps): void {
  const places = new SendPlaces();
  for (const url of bothForms("/registry/models/:model/versions/:version/data")) {
    const sending = (request: FastifyRequest<OfVersion>, reply: FastifyReply) => send(deps, { request, reply, places });
    app.get<OfVersion>(url, sending);
    app.head<OfVersion>(url, sending);
  }
}

interface Download {
  readonly request: FastifyRequest<OfVersion>;
  readonly reply: FastifyReply;
  readonly places: SendPlaces;
}

class SendPlaces {
  #taken = 0;

  /** Until the answer is over. @throws REGISTRY_BUSY */
  take({ raw }: FastifyReply): void {
    if (this.#taken >= MAX_SENT) {
      throw new SluiceError("REGISTRY_BUSY", `${MAX_SENT} downloads are under way, the limit`, { retryAfterMs: 5_000 });
    }
    this.#taken += 1;
    raw.once("close", () => {
      this.#taken -= 1;
    });
  }
}

async function send(deps: RegistryRouteDeps, { request, reply, places }: Download): Promise<FastifyReply> {
  const info = versionOf(deps.registry, request.params);
  const { dataBytes: size } = info;
  const isHead = request.method === "HEAD";
  const portion = portionOf(request, info, isHead);
  if (portion.kind === "not-modified") return reply.code(304).headers(tagsOf(info)).send();
  if (portion.kind === "unsatisfiable") {
    void reply.header("content-range", `bytes */${size}`);
    throw new SluiceError("RANGE_NOT_SATISFIABLE", `the version has ${size} bytes, and none of them were asked for`);
  }
  const part = portion.kind === "part" ? portion.range : null;
  if (!isHead) places.take(reply);
  // Before the head is set: what is damaged is told in another one.
  const stream = isHead ? null : await open(deps, info, part === null ? {} : { first: part.start, last: part.end });
  void reply.headers({
    ...tagsOf(info),
    "accept-ranges": "bytes",
    "content-type": "application/octet-stream",
    "content-disposition": `attachment; filename*=UTF-8''${fileNameOf(info)}`,
    "content-length": String(part === null ? size : part.end - part.start + 1),
  });
  if (part !== null) void reply.code(206).header("content-range", `bytes ${part.start}-${part.end}/${size}`);
  if (stream === null) return reply.send();
  endWhenIdle(reply, stream, deps.idleMs());
  return reply.send(stream);
}

function portionOf({ headers }: FastifyRequest, info: VersionInfo, isHead: boolean): Portion {
  const ifRange = headers["if-range"];
  const asked = {
    // RFC 9110 defines Range for GET alone.
    range: isHead ? undefined : headers.range,
    ifRange: Array.isArray(ifRange) ? ifRange[0] : ifRange,
    ifNoneMatch: headers["if-none-match"],
  };
  return decidePortion(asked, etagOf(info), info.dataBytes);
}

const etagOf = ({ dataHash }: VersionInfo) => `"${hexOf(dataHash)}"`;

function tagsOf(info: VersionInfo): Record<string, string> {
  return {
    etag: etagOf(info),
    "repr-digest": `sha-256=:${info.dataHash}:`,
    "content-location": `${versionPath(info)}/data`,
    // `latest` and aliases change what they mean.
    "cache-control": "no-cache",
  };
}

async function open({ registry }: RegistryRouteDeps, info: VersionInfo, part: { first?: number; last?: number }) {
  const { first, last } = part;
  const range = first === undefined || last === undefined ? {} : { range: { first, last } };
  const { stream } = await registry.open(info.modelId, info.versionNumber, { ...range, chunkBytes: CHUNK_BYTES });
  return stream;
}

/** As RFC 8187 writes it. */
function fileNameOf({ modelId, versionNumber }: VersionInfo): string {
  const name = encodeURIComponent(modelId).replace(/['()*]/g, (char) => `%${char.charCodeAt(0).toString(16)}`);
  return `${name}-v${versionNumber}.data`;
}

/** A caller that reads nothing holds an open file and a piece of it: it is let go when nothing has left for that long. */
function endWhenIdle(reply: FastifyReply, stream: Readable, idleMs: number): void {
  const { socket } = reply.raw;
  let written = -1;
  const timer = setInterval(() => {
    const now = socket?.bytesWritten ?? 0;
    // What the kernel has not taken counts as written by Node; only what is still in Node's hands tells.
    const left = now - (socket?.writableLength ?? 0);
    if (left === written) stream.destroy(new SluiceError("CLIENT_GONE", "the caller reads nothing"));
    written = left;
  }, idleMs);
  timer.unref();
  reply.raw.once("close", () => clearInterval(timer));
}
