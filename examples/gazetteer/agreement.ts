import { refuseWithMessage } from "./errors.js";
import { type ExportAnnotation, type ExportProject, type TrainerExport, trueAnnotations } from "./export.js";
import { type Cell, writeCsv } from "./export-reports.js";

const SCOPES = {
  per_concept: ["concept"],
  per_document: ["doc_id"],
  per_span: ["doc_id", "span_start", "span_end"],
} as const;

type Scope = keyof typeof SCOPES;

/** One stretch of text that at least one of the two annotators marked, and how each did; null: not at all. */
interface Item {
  readonly docId: string;
  readonly start: number;
  readonly end: number;
  readonly a: ExportAnnotation | null;
  readonly b: ExportAnnotation | null;
}

type Rating = readonly [a: string, b: string];

/** How far two annotators agree on the documents both have seen, as CSV. @throws 400 N for an unknown scope or project */
export function scoreAgreement(
  trainerExport: TrainerExport,
  projectA: number,
  projectB: number,
  scope: string,
): string {
  if (!(scope in SCOPES))
    throw refuseWithMessage(400, `Unknown scope, must be one of ${Object.keys(SCOPES).join(", ")}`);
  const items = pairItems(findProject(trainerExport, projectA), findProject(trainerExport, projectB));
  const keys = SCOPES[scope as Scope];
  const rows = [...groupItems(items, scope as Scope)].map(([key, group]) => {
    const concept = scope === "per_concept" ? key : null;
    const rate = (annotation: ExportAnnotation | null) =>
      concept === null ? (annotation?.cui ?? "") : String(annotation?.cui === concept);
    const ratings = group.map(({ a, b }): Rating => [rate(a), rate(b)]);
    const cells: Cell[] = concept === null ? key.split("\t") : [concept];
    // Spans neither marked with this concept say nothing about how often the two agree on it.
    const relevant = concept === null ? ratings : ratings.filter((rating) => rating.includes("true"));
    return [...cells, percentage(relevant), kappa(ratings), ...scoreMeta(group, concept)];
  });
  return writeCsv([...keys, "iaa_percentage", "cohens_kappa", "iaa_percentage_meta", "cohens_kappa_meta"], rows);
}

function scoreMeta(items: readonly Item[], concept: string | null): Cell[] {
  const ratings = items.flatMap(({ a, b }) => {
    if (a === null || b === null || a.cui !== b.cui || (concept !== null && a.cui !== concept)) return [];
    const others = b.meta_anns ?? {};
    return Object.entries(a.meta_anns ?? {}).flatMap(([name, { value }]): Rating[] =>
      name in others ? [[`${name} ${value}`, `${name} ${others[name]!.value}`]] : [],
    );
  });
  return [percentage(ratings), kappa(ratings)];
}

function findProject({ projects }: TrainerExport, id: number): ExportProject {
  const project = projects.find((candidate) => String(candidate.id) === String(id));
  if (project === undefined) throw refuseWithMessage(400, `Cannot find the project with ID: ${id}`);
  return project;
}

function pairItems(projectA: ExportProject, projectB: ExportProject): Item[] {
  const documentsB = new Map(projectB.documents.map((document) => [String(document.id), document]));
  return projectA.documents.flatMap((documentA) => {
    const documentB = documentsB.get(String(documentA.id));
    if (documentB === undefined) return [];
    const spanKey = ({ start, end }: ExportAnnotation) => `${start} ${end}`;
    const a = new Map(trueAnnotations(documentA).map((annotation) => [spanKey(annotation), annotation]));
    const b = new Map(trueAnnotations(documentB).map((annotation) => [spanKey(annotation), annotation]));
    return [...new Set([...a.keys(), ...b.keys()])].map((key) => {
      const [start = 0, end = 0] = key.split(" ").map(Number);
      return { docId: String(documentA.id), start, end, a: a.get(key) ?? null, b: b.get(key) ?? null };
    });
  });
}

function groupItems(items: readonly Item[], scope: Scope): Map<string, readonly Item[]> {
  if (scope === "per_concept") {
    const concepts = new Set(items.flatMap(({ a, b }) => [a?.cui, b?.cui]).filter((cui) => cui !== undefined));
    return new Map([...concepts].sort().map((concept) => [concept, items]));
  }
  const groups = new Map<string, Item[]>();
  for (const item of items) {
    const key = scope === "per_document" ? item.docId : `${item.docId}\t${item.start}\t${item.end}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return groups;
}

function percentage(ratings: readonly Rating[]): number | null {
  return ratings.length === 0 ? null : (agreed(ratings) / ratings.length) * 100;
}

/** Cohen's kappa. Where chance alone would agree always, 1 for agreement and 0 otherwise. */
function kappa(ratings: readonly Rating[]): number | null {
  if (ratings.length === 0) return null;
  const observed = agreed(ratings) / ratings.length;
  const shareOf = (category: string, annotator: 0 | 1) =>
    ratings.filter((rating) => rating[annotator] === category).length / ratings.length;
  const expected = [...new Set(ratings.flat())].reduce(
    (sum, category) => sum + shareOf(category, 0) * shareOf(category, 1),
    0,
  );
  return expected === 1 ? Number(observed === 1) : (observed - expected) / (1 - expected);
}

function agreed(ratings: readonly Rating[]): number {
  return ratings.filter(([a, b]) => a === b).length;
}
