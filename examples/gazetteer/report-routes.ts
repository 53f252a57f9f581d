import { scoreAgreement } from "./agreement.js";
import { resolveOverlaps, type Span } from "./annotate.js";
import { refuseWithMessage } from "./errors.js";
import { type ExportDocument, parseExport, readExports, type TrainerExport, trueAnnotations } from "./export.js";
import { checkSanity, countAnnotations } from "./export-reports.js";
import { type Call, type Reply, replyFile, replyJson } from "./http.js";
import { readForm, requireFiles } from "./multipart.js";
import { previewHtml } from "./preview.js";
import { integer, readQuery, requiredInteger, requiredText } from "./query.js";
import type { Route } from "./route.js";
import { readTrackingId } from "./tracking-id.js";

export const REPORT_ROUTES: readonly Route[] = [
  { method: "POST", path: "/sanity-check", summary: "The model against a trainer export", handle: replySanity },
  { method: "POST", path: "/iaa-scores", summary: "Agreement of two annotators", handle: replyAgreement },
  { method: "POST", path: "/concat_trainer_exports", summary: "One export of several", handle: replyConcatenated },
  { method: "POST", path: "/annotation-stats", summary: "Counts by concept", handle: replyStats },
  { method: "POST", path: "/preview_trainer_export", summary: "Shows an export's documents", handle: replyPreview },
];

const CSV = "text/csv; charset=utf-8";

async function replySanity(call: Call): Promise<Reply> {
  const { trackingId, files } = await readUpload(call);
  const csv = await checkSanity(call.service.annotator, readExports(files));
  return replyFile(csv, CSV, `sanity_check_${trackingId}.csv`);
}

async function replyAgreement(call: Call): Promise<Reply> {
  const files = requireFiles(await readForm(call), "trainer_export");
  const query = readQuery(call.query, {
    annotator_a_project_id: requiredInteger(),
    annotator_b_project_id: requiredInteger(),
    scope: requiredText(),
  });
  const trackingId = readTrackingId(call);
  const { annotator_a_project_id: a, annotator_b_project_id: b, scope } = query;
  return replyFile(scoreAgreement(readExports(files, "any"), a, b, scope), CSV, `iaa_${trackingId}.csv`);
}

async function replyConcatenated(call: Call): Promise<Reply> {
  const { trackingId, files } = await readUpload(call);
  return replyJson(200, readExports(files), {
    "content-type": "application/json; charset=utf-8",
    "content-disposition": `attachment ; filename="concatenated_${trackingId}.json"`,
  });
}

async function replyStats(call: Call): Promise<Reply> {
  const { trackingId, files } = await readUpload(call);
  return replyFile(countAnnotations(readExports(files)), CSV, `stats_${trackingId}.csv`);
}

async function replyPreview(call: Call): Promise<Reply> {
  const form = await readForm(call);
  const query = readQuery(call.query, { project_id: integer(null), document_id: integer(null) });
  const trackingId = readTrackingId(call);
  const uploaded = readExports(form.files.get("trainer_export") ?? [], "any");
  const written = (form.fields.get("trainer_export_str") ?? []).map(parseExport);
  const fragments = selectDocuments([uploaded, ...written], query.project_id, query.document_id).map((document) =>
    previewHtml(document.name ?? String(document.id), document.text, spansOf(document)),
  );
  if (fragments.length === 0) throw refuseWithMessage(404, "Cannot find any matching documents to preview");
  return replyFile(fragments.join("<br/>"), "application/octet-stream", `preview_${trackingId}.html`);
}

async function readUpload(call: Call) {
  const files = requireFiles(await readForm(call), "trainer_export");
  return { files, trackingId: readTrackingId(call) };
}

function selectDocuments(
  exports: readonly TrainerExport[],
  projectId: number | null,
  documentId: number | null,
): ExportDocument[] {
  const wanted = (id: number | string, asked: number | null) => asked === null || String(id) === String(asked);
  return exports
    .flatMap(({ projects }) => projects)
    .filter(({ id }) => wanted(id, projectId))
    .flatMap(({ documents }) => documents)
    .filter(({ id }) => wanted(id, documentId));
}

/** The export's own annotations as spans: its offsets are code points, ours are not. */
function spansOf(document: ExportDocument): Span[] {
  const points = Array.from(document.text);
  const unitAt = new Map<number, number>();
  points.reduce((unit, character, index) => unitAt.set(index, unit) && unit + character.length, 0);
  unitAt.set(points.length, document.text.length);
  const spans = trueAnnotations(document).flatMap(({ cui, start, end }) => {
    const [from, to] = [unitAt.get(start), unitAt.get(end)];
    if (from === undefined || to === undefined || to <= from) return [];
    return [{ start: from, end: to, id: cui, name: cui, category: "export" }];
  });
  return resolveOverlaps(spans);
}
