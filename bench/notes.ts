/** The real notes of `test/data`, as bodies. */
import { readFileSync } from "node:fs";

const file = new URL("../../test/data/sample_texts.json", import.meta.url);

export function readNotes(): Uint8Array[] {
  const texts = JSON.parse(readFileSync(file, "utf8")) as string[];
  return texts.map((text) => Buffer.from(text));
}
