import type { Annotator } from "./annotate.js";
import { type Call, decodeUtf8, inPieces, type Reply } from "./http.js";
import { NDJSON_TYPE, type ReadLine, readLine } from "./ndjson.js";
import type { Route } from "./route.js";

export const STREAM_ROUTES: readonly Route[] = [
  {
    method: "POST",
    path: "/stream/process",
    summary: "Annotates NDJSON while it comes in",
    limited: "at-once",
    handle: annotateStream,
  },
];

const MAX_LINE_BYTES = 16_777_216;
const MAX_PIECE_BYTES = 1_024;

/** One line of the request. `complete` is false for a last line without its line break. */
export interface IncomingLine {
  readonly line: string;
  readonly read: ReadLine;
  readonly index: number;
  readonly complete: boolean;
}

/**
 * The lines of a body as they arrive. Every chunk is decoded on its own, as CMS does: a character split over two chunks is an error.
 * @throws 500 N for bytes that are not UTF-8, or a line longer than 16 MiB
 */
export async function* readLines(call: Call): AsyncGenerator<IncomingLine> {
  let pending = "";
  let index = 0;
  for await (const chunk of call.chunks()) {
    const lines = (pending + decodeUtf8(chunk)).split("\n");
    pending = lines.pop() ?? "";
    if (pending.length > MAX_LINE_BYTES) throw new Error(`A line is longer than ${MAX_LINE_BYTES} characters`);
    for (const line of lines) yield { line, read: readLine(line), index: index++, complete: true };
  }
  if (pending !== "") yield { line: pending, read: readLine(pending), index, complete: false };
}

function annotateStream(call: Call): Reply {
  return { status: 200, headers: { "content-type": NDJSON_TYPE }, body: answerLines(call) };
}

/** Full duplex: each line is answered as soon as it has come, while the rest of the request is still open. */
async function* answerLines(call: Call): AsyncGenerator<Buffer> {
  let silent = true;
  for await (const incoming of readLines(call)) {
    for (const line of answerLine(call.service.annotator, incoming)) {
      silent = false;
      yield* inPieces(Buffer.from(`${line}\n`), MAX_PIECE_BYTES);
    }
  }
  if (silent) yield Buffer.from('{"error": "Empty stream"}\n');
}

function answerLine(annotator: Annotator, { line, read, index }: IncomingLine): string[] {
  if ("fault" in read) return [JSON.stringify({ error: read.fault, content: line })];
  const { text, name } = read.item;
  return annotator
    .annotate(text)
    .map((annotation) => JSON.stringify({ doc_name: name ?? String(index), ...annotation }));
}
