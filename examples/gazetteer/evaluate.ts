import type { Annotator } from "./annotate.js";
import { type ExportDocument, trueAnnotations } from "./export.js";

/** Counts for one concept. A hit has the right place and the right concept. */
export interface Tally {
  hits: number;
  wrong: number;
  missed: number;
}

export interface Scores {
  readonly precision: number;
  readonly recall: number;
  readonly f1: number;
}

/**
 * Compares what the annotator finds in one document with its annotations, concept by concept, into `tallies`. Concepts the export
 * never names are left out: an export marks only what its project is about.
 */
export function tallyDocument(
  annotator: Annotator,
  document: ExportDocument,
  concepts: ReadonlySet<string>,
  tallies: Map<string, Tally>,
): void {
  const expected = new Map(trueAnnotations(document).map(({ cui, start, end }) => [`${start} ${end} ${cui}`, cui]));
  const tallyOf = (cui: string) => {
    const tally = tallies.get(cui) ?? { hits: 0, wrong: 0, missed: 0 };
    tallies.set(cui, tally);
    return tally;
  };
  for (const { start, end, label_id } of annotator.annotate(document.text)) {
    if (!concepts.has(label_id)) continue;
    if (expected.delete(`${start} ${end} ${label_id}`)) tallyOf(label_id).hits++;
    else tallyOf(label_id).wrong++;
  }
  for (const cui of expected.values()) tallyOf(cui).missed++;
}

export function conceptsOf(documents: readonly ExportDocument[]): Set<string> {
  return new Set(documents.flatMap((document) => trueAnnotations(document).map(({ cui }) => cui)));
}

/** 0 where there is nothing to divide by, so that every score is a finite number. */
export function score({ hits, wrong, missed }: Tally): Scores {
  const precision = hits + wrong === 0 ? 0 : hits / (hits + wrong);
  const recall = hits + missed === 0 ? 0 : hits / (hits + missed);
  return { precision, recall, f1: precision + recall === 0 ? 0 : (2 * precision * recall) / (precision + recall) };
}

export function sumTallies(tallies: Iterable<Tally>): Tally {
  const sum = { hits: 0, wrong: 0, missed: 0 };
  for (const { hits, wrong, missed } of tallies) {
    sum.hits += hits;
    sum.wrong += wrong;
    sum.missed += missed;
  }
  return sum;
}
