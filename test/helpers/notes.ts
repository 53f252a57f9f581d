/** The real notes in `test/data`. */
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

/** The source tree's data: `dist/` holds compiled code only. */
export const DATA_FOLDER = fileURLToPath(new URL("../../../test/data/", import.meta.url));

export interface Note {
  readonly name: string;
  readonly text: string;
}

/** Every document of `trainer_export.json`. */
export async function readNotes(): Promise<Note[]> {
  const text = await readFile(`${DATA_FOLDER}trainer_export.json`, "utf8");
  const { projects } = JSON.parse(text) as { projects: { documents: Note[] }[] };
  return projects.flatMap((project) => project.documents.map(({ name, text: note }) => ({ name, text: note })));
}

export async function readSampleTexts(): Promise<string[]> {
  return JSON.parse(await readFile(`${DATA_FOLDER}sample_texts.json`, "utf8")) as string[];
}
