import { setImmediate as nextTurn } from "node:timers/promises";
import type { Annotator } from "./annotate.js";
import { conceptsOf, score, type Tally, tallyDocument } from "./evaluate.js";
import { allDocuments, surfaceOf, type TrainerExport, trueAnnotations } from "./export.js";

export type Cell = string | number | null;

/** One line for each row; cells with commas, quotes or line breaks are quoted, null is empty. */
export function writeCsv(header: readonly string[], rows: readonly (readonly Cell[])[]): string {
  return [header, ...rows].map((row) => `${row.map(writeCell).join(",")}\n`).join("");
}

/** How well the model agrees with an export, concept by concept. */
export async function checkSanity(annotator: Annotator, trainerExport: TrainerExport): Promise<string> {
  const documents = allDocuments(trainerExport);
  const concepts = conceptsOf(documents);
  const tallies = new Map<string, Tally>();
  for (const document of documents) {
    tallyDocument(annotator, document, concepts, tallies);
    await nextTurn();
  }
  const names = new Map(annotator.terms.map(({ id, name }) => [id, name]));
  const rows = [...tallies.keys()].sort().map((concept) => {
    const { precision, recall, f1 } = score(tallies.get(concept)!);
    return [concept, names.get(concept) ?? concept, precision, recall, f1];
  });
  return writeCsv(["concept", "name", "precision", "recall", "f1"], rows);
}

/** For each concept: how many annotations, how many different words they mark, and how many of them do not count. */
export function countAnnotations(trainerExport: TrainerExport): string {
  const counts = new Map<string, { all: number; surfaces: Set<string>; ignored: number }>();
  for (const document of allDocuments(trainerExport)) {
    const counted = new Set(trueAnnotations(document));
    for (const annotation of document.annotations) {
      const count = counts.get(annotation.cui) ?? { all: 0, surfaces: new Set(), ignored: 0 };
      counts.set(annotation.cui, count);
      count.all++;
      count.surfaces.add(surfaceOf(document, annotation).toLowerCase());
      if (!counted.has(annotation)) count.ignored++;
    }
  }
  const rows = [...counts]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([cui, { all, surfaces, ignored }]) => [cui, all, surfaces.size, ignored]);
  return writeCsv(["concept", "anno_count", "anno_unique_counts", "anno_ignorance_counts"], rows);
}

function writeCell(cell: Cell): string {
  const text = cell === null ? "" : String(cell);
  return /[",\r\n]/u.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
