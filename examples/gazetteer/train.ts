import { Annotator, surfaceKey } from "./annotate.js";
import { conceptsOf, score, sumTallies, type Tally, tallyDocument } from "./evaluate.js";
import { type ExportDocument, surfaceOf, trueAnnotations } from "./export.js";
import type { Term } from "./terms.js";
import type { Work } from "./trainer.js";

export interface SupervisedPlan {
  readonly epochs: number;
  /** Share of the documents, from the end, that scores are measured on; 0 or less: on all of them. */
  readonly testSize: number;
}

/**
 * Teaches the annotations of an export. In each epoch the training part is learned and measured on the held-out part; when the last
 * one is over the held-out documents are learned too. Without epochs nothing is learned, only measured.
 * @returns the terms after training
 */
export async function trainSupervised(
  work: Work,
  terms: readonly Term[],
  documents: readonly ExportDocument[],
  plan: SupervisedPlan,
): Promise<readonly Term[]> {
  const heldOut = Math.min(documents.length, Math.floor(documents.length * Math.max(0, plan.testSize)));
  const [learned, tested] = [
    documents.slice(0, documents.length - heldOut),
    documents.slice(documents.length - heldOut),
  ];
  const learner = new Learner(terms);
  for (let epoch = 0; epoch < plan.epochs; epoch++) {
    for (const document of learned) {
      // Later epochs go over the same documents again; what is counted as seen does not grow with them.
      if (epoch === 0) learner.learn(document);
      await work.dwell();
    }
    await measure(
      { ...work, dwell: async () => {} },
      new Annotator(learner.terms),
      tested.length > 0 ? tested : learned,
    );
  }
  if (plan.epochs === 0) await measure(work, new Annotator(learner.terms), documents);
  else for (const document of tested) learner.learn(document);
  return learner.terms;
}

/** Records precision, recall and F1, overall and for each concept. */
export async function measure(work: Work, annotator: Annotator, documents: readonly ExportDocument[]): Promise<void> {
  const { run, runs } = work;
  const concepts = conceptsOf(documents);
  const tallies = new Map<string, Tally>();
  for (const document of documents) {
    tallyDocument(annotator, document, concepts, tallies);
    await work.dwell();
  }
  for (const [name, value] of Object.entries(score(sumTallies(tallies.values())))) runs.record(run, name, value);
  run.concepts.splice(0, run.concepts.length, ...[...tallies.keys()].sort());
  for (const key of ["precision", "recall", "f1"] as const) {
    run.metrics[`per_concept_${key}`] = run.concepts.map((concept) => score(tallies.get(concept)!)[key]);
  }
}

/** Counts the known terms in plain texts: what an unsupervised training sees. The terms' own counts grow by it. */
export async function trainUnsupervised(
  work: Work,
  terms: readonly Term[],
  texts: readonly string[],
  epochs: number,
): Promise<readonly Term[]> {
  const annotator = new Annotator(terms);
  const counts = new Map<string, number>();
  for (let epoch = 0; epoch < epochs; epoch++) {
    for (const text of texts) {
      for (const { id, start, end } of epoch === 0 ? annotator.find(text) : []) {
        const key = `${surfaceKey(text.slice(start, end))} ${id}`;
        counts.set(key, (counts.get(key) ?? 0) + 1);
      }
      await work.dwell();
    }
  }
  const before = countByConcept(terms);
  const after = terms.map((term) => ({
    ...term,
    seen: term.seen + (counts.get(`${surfaceKey(term.surface)} ${term.id}`) ?? 0),
  }));
  const total = countByConcept(after);
  work.run.concepts.push(...[...total.keys()].filter((id) => total.get(id) !== before.get(id)).sort());
  work.run.metrics.per_concept_train_count_before = work.run.concepts.map((id) => before.get(id) ?? 0);
  work.run.metrics.per_concept_train_count_after = work.run.concepts.map((id) => total.get(id) ?? 0);
  return after;
}

/** Gathers terms document by document. */
class Learner {
  readonly #byKey: Map<string, Term>;
  readonly #names: Map<string, string>;

  constructor(terms: readonly Term[]) {
    this.#byKey = new Map(terms.map((term) => [`${surfaceKey(term.surface)} ${term.id}`, term]));
    this.#names = new Map(terms.map(({ id, name }) => [id, name]));
  }

  get terms(): readonly Term[] {
    return [...this.#byKey.values()];
  }

  learn(document: ExportDocument): void {
    for (const annotation of trueAnnotations(document)) {
      const surface = surfaceOf(document, annotation);
      const key = `${surfaceKey(surface)} ${annotation.cui}`;
      const name = this.#names.get(annotation.cui) ?? surface;
      const known = this.#byKey.get(key) ?? { surface, id: annotation.cui, name, category: "trained", seen: 0 };
      // Put at the end even when known: of equally frequent rivals the one seen last is found.
      this.#byKey.delete(key);
      this.#byKey.set(key, { ...known, seen: known.seen + 1 });
      this.#names.set(known.id, known.name);
    }
  }
}

function countByConcept(terms: readonly Term[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { id, seen } of terms) counts.set(id, (counts.get(id) ?? 0) + seen);
  return counts;
}
