/** Writes what is generated from the schema and the error table (`npm run docs`). A test fails when a committed file differs. */
import { mkdirSync, realpathSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { renderErrors, renderJsonSchema, renderSettings } from "../config/reference.js";

/** Each generated file, relative to the root, with its text. */
export const GENERATED_FILES: ReadonlyMap<string, () => string> = new Map([
  ["config/sluice.schema.json", renderJsonSchema],
  ["docs/configuration.md", renderSettings],
  ["docs/errors.md", renderErrors],
]);

function writeDocs(root: string): void {
  for (const [file, render] of GENERATED_FILES) {
    mkdirSync(dirname(join(root, file)), { recursive: true });
    writeFileSync(join(root, file), render());
  }
}

const self = fileURLToPath(import.meta.url);
if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === self) writeDocs(join(dirname(self), "..", ".."));
