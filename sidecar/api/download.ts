/** A succeeded task's result as a download: whole, a part of it, or the news that the caller has it already. */
import type { FastifyReply, FastifyRequest } from "fastify";
import { SluiceError } from "../../core/contract/errors.js";
import { resultName } from "../tasks/answers.js";
import { type BlobStore, sizeOf, type TaskAnswer, type TaskRow } from "../tasks/store.js";
import { decidePortion } from "./byte-range.js";

/**
 * Answers 200, 206, 304 or 416; a HEAD gets the same head and nothing is read for it.
 * @throws RESULT_DAMAGED before the first byte, for a part as for the whole
 */
export async function sendResult(
  { request, reply }: { request: FastifyRequest; reply: FastifyReply },
  task: TaskRow & { answer: TaskAnswer },
  blobs: BlobStore,
): Promise<FastifyReply> {
  const { body } = task.answer;
  const size = sizeOf(body);
  const etag = `"${body.sha256}"`;
  const isHead = request.method === "HEAD";
  const { range, "if-range": ifRange, "if-none-match": ifNoneMatch } = request.headers;
  // RFC 9110 defines Range for GET alone.
  const asked = { range: isHead ? undefined : range, ifRange: asText(ifRange), ifNoneMatch };
  const portion = decidePortion(asked, etag, size);

  const tags = { etag, "x-task-uuid": task.uuid, "x-task-status": task.status };
  if (portion.kind === "not-modified") return reply.code(304).headers(tags).send();
  if (portion.kind === "unsatisfiable") {
    void reply.header("content-range", `bytes */${size}`);
    throw new SluiceError("RANGE_NOT_SATISFIABLE", `the result has ${size} bytes, and none of them were asked for`);
  }
  const part = portion.kind === "part" ? portion.range : null;
  // Before the head is set: a damaged result is told in another one.
  const stream = isHead ? null : await blobs.open(body, { verify: true, ...(part === null ? {} : { range: part }) });
  void reply.headers({
    ...tags,
    "accept-ranges": "bytes",
    "content-type": "application/octet-stream",
    "content-disposition": `attachment; filename=${resultName(task)}`,
    "content-length": String(part === null ? size : part.end - part.start + 1),
  });
  if (part !== null) void reply.code(206).header("content-range", `bytes ${part.start}-${part.end}/${size}`);
  return stream === null ? reply.send() : reply.send(stream);
}

function asText(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header[0] : header;
}
