import { setImmediate as nextTurn } from "node:timers/promises";
import { checkStringFields, checkStrings, parseUploadedTexts, readJsonBody, readTextBody } from "./body.js";
import { embed } from "./embed.js";
import { type Call, type Reply, replyFile, replyJson, replyText } from "./http.js";
import { readForm, requireFiles } from "./multipart.js";
import { NDJSON_TYPE, readAllLines, type StreamItem } from "./ndjson.js";
import { previewHtml } from "./preview.js";
import { flag, readQuery, text, texts } from "./query.js";
import { redact, redactWithEncryption } from "./redact.js";
import type { Route } from "./route.js";
import { readTrackingId } from "./tracking-id.js";

export const ANNOTATION_ROUTES: readonly Route[] = [
  { method: "POST", path: "/process", summary: "Annotates one text", limited: "after-body", handle: annotateText },
  {
    method: "POST",
    path: "/process_jsonl",
    summary: "Annotates NDJSON, answers NDJSON",
    limited: "after-body",
    handle: annotateLines,
  },
  {
    method: "POST",
    path: "/process_bulk",
    summary: "Annotates an array of texts",
    limited: "after-body",
    handle: annotateTexts,
  },
  { method: "POST", path: "/process_bulk_file", summary: "Annotates an uploaded array of texts", handle: annotateFile },
  { method: "POST", path: "/redact", summary: "Takes out what was found", limited: "after-body", handle: redactText },
  {
    method: "POST",
    path: "/redact_with_encryption",
    summary: "Takes out and encrypts",
    limited: "after-body",
    handle: encryptText,
  },
  { method: "POST", path: "/preview", summary: "Shows a text with its annotations", handle: previewText },
  { method: "POST", path: "/v1/embeddings", summary: "Hashed word embeddings", handle: embedTexts },
];

const NOTHING_REDACTED = "WARNING: No entities were detected for redaction.";

async function annotateText(call: Call): Promise<Reply> {
  return replyJson(200, annotateDocument(call, await readTextBody(call)));
}

async function annotateTexts(call: Call): Promise<Reply> {
  return replyJson(200, await annotateDocuments(call, checkStrings(await readJsonBody(call))));
}

async function annotateFile(call: Call): Promise<Reply> {
  const [file] = requireFiles(await readForm(call), "multi_text_file").slice(-1);
  const trackingId = readTrackingId(call);
  const documents = await annotateDocuments(call, parseUploadedTexts(file!.content));
  return replyFile(JSON.stringify(documents), "application/json", `entities_${trackingId}.json`);
}

async function annotateLines(call: Call): Promise<Reply> {
  const items = readAllLines(await readTextBody(call));
  return { status: 200, headers: { "content-type": NDJSON_TYPE }, body: writeLines(call, items) };
}

async function* writeLines(call: Call, items: readonly StreamItem[]): AsyncGenerator<Buffer> {
  for (const [index, { text: note, name }] of items.entries()) {
    const lines = annotateDocument(call, note).annotations.map((annotation) =>
      JSON.stringify({ doc_name: name ?? String(index), ...annotation }),
    );
    if (lines.length > 0) yield Buffer.from(`${lines.join("\n")}\n`);
    await nextTurn();
  }
}

async function redactText(call: Call): Promise<Reply> {
  const note = await readTextBody(call);
  const query = readQuery(call.query, {
    concepts_to_keep: texts(),
    warn_on_no_redaction: flag(false),
    mask: text(null),
    hash: flag(false),
  });
  const { concepts_to_keep: keep, mask, hash } = query;
  const redacted = redact(call.service.annotator, note, { keep, mask, hash });
  return replyText(200, redacted ?? (query.warn_on_no_redaction ? NOTHING_REDACTED : note));
}

async function encryptText(call: Call): Promise<Reply> {
  const { text: note, public_key_pem } = checkStringFields(await readJsonBody(call), ["text", "public_key_pem"]);
  const query = readQuery(call.query, { warn_on_no_redaction: flag(false) });
  const redacted = redactWithEncryption(call.service.annotator, note, public_key_pem);
  if (redacted !== null) return replyJson(200, redacted);
  if (query.warn_on_no_redaction) return replyJson(200, { message: NOTHING_REDACTED });
  return replyJson(200, { redacted_text: note, encryptions: [] });
}

async function previewText(call: Call): Promise<Reply> {
  const note = await readTextBody(call);
  const trackingId = readTrackingId(call);
  const html = previewHtml(call.service.options.name, note, call.service.annotator.find(note));
  return replyFile(html, "application/octet-stream", `preview_${trackingId}.html`);
}

async function embedTexts(call: Call): Promise<Reply> {
  const body = (await readJsonBody(call)) as { input?: unknown; model?: unknown } | null;
  const input = typeof body?.input === "string" ? [body.input] : checkStrings(body?.input);
  const trackingId = readTrackingId(call);
  const data = input.map((note, index) => ({ object: "embedding", embedding: embed(note), index }));
  const answer = { object: "list", data, model: body?.model ?? call.service.options.name };
  return replyJson(200, answer, { "x-cms-tracking-id": trackingId });
}

function annotateDocument({ service }: Call, note: string) {
  const annotations = service.annotator.annotate(note);
  service.metrics.countAnnotations(annotations.length);
  return { text: note, annotations };
}

/** Lets other requests have their turn between two documents. */
async function annotateDocuments(call: Call, notes: readonly string[]) {
  const documents = [];
  for (const note of notes) {
    documents.push(annotateDocument(call, note));
    await nextTurn();
  }
  call.service.metrics.countBulkDocuments(notes.length);
  return documents;
}
