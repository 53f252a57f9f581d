import { refuseWithMessage } from "./errors.js";
import type { FilePart } from "./multipart.js";

/** One annotation of a trainer export. `start` and `end` are code points. */
export interface ExportAnnotation {
  readonly id?: number | string;
  readonly cui: string;
  readonly start: number;
  readonly end: number;
  readonly value?: string;
  readonly correct?: boolean;
  readonly deleted?: boolean;
  readonly killed?: boolean;
  readonly meta_anns?: Readonly<Record<string, { readonly name?: string; readonly value?: unknown }>>;
}

export interface ExportDocument {
  readonly id: number | string;
  readonly name?: string;
  readonly text: string;
  readonly annotations: readonly ExportAnnotation[];
}

export interface ExportProject {
  readonly id: number | string;
  readonly name?: string;
  readonly documents: readonly ExportDocument[];
}

/** What MedCATtrainer writes. Keys we do not know are kept. */
export interface TrainerExport {
  readonly projects: readonly ExportProject[];
}

/**
 * Reads the uploaded exports and makes one of them.
 * @param documents  `unique` also refuses a document id that comes twice
 * @throws 400 N for what is no export, or for ids that clash
 */
export function readExports(files: readonly FilePart[], documents: "unique" | "any" = "unique"): TrainerExport {
  const projects = files.flatMap(({ content }) => parseExport(content.toString("utf8")).projects);
  refuseDuplicates(
    "project",
    projects.map(({ id }) => id),
  );
  if (documents === "unique") {
    refuseDuplicates(
      "document",
      projects.flatMap((project) => project.documents.map(({ id }) => id)),
    );
  }
  return { projects };
}

/** @throws 400 N naming what is missing */
export function parseExport(json: string): TrainerExport {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    throw refuseWithMessage(400, "The trainer export is not valid JSON");
  }
  if (!isRecord(value) || !Array.isArray(value.projects))
    throw refuseWithMessage(400, "The trainer export has no list of projects");
  for (const project of value.projects) checkProject(project);
  return value as unknown as TrainerExport;
}

/** The annotations that count: correct, not deleted, not killed. */
export function trueAnnotations(document: ExportDocument): ExportAnnotation[] {
  return document.annotations.filter(
    ({ correct, deleted, killed }) => correct !== false && deleted !== true && killed !== true,
  );
}

export function allDocuments({ projects }: TrainerExport): ExportDocument[] {
  return projects.flatMap(({ documents }) => documents);
}

/** The words an annotation marks: its own `value`, else what its offsets say. */
export function surfaceOf(document: ExportDocument, { value, start, end }: ExportAnnotation): string {
  return value ?? Array.from(document.text).slice(start, end).join("");
}

function checkProject(project: unknown): void {
  if (!isRecord(project) || !Array.isArray(project.documents))
    throw refuseWithMessage(400, "A project of the trainer export has no list of documents");
  for (const document of project.documents) {
    if (!isRecord(document) || typeof document.text !== "string" || !Array.isArray(document.annotations)) {
      throw refuseWithMessage(400, "A document of the trainer export lacks its text or its annotations");
    }
    if (!document.annotations.every(isAnnotation)) {
      throw refuseWithMessage(400, "An annotation of the trainer export lacks cui, start or end");
    }
  }
}

function isAnnotation(value: unknown): boolean {
  return (
    isRecord(value) && typeof value.cui === "string" && Number.isInteger(value.start) && Number.isInteger(value.end)
  );
}

function refuseDuplicates(what: string, ids: readonly (number | string)[]): void {
  if (new Set(ids).size < ids.length) throw refuseWithMessage(400, `The trainer exports share a ${what} id`);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
