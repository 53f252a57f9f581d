import { readFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { z } from "zod";
import { GENERATED_FILES } from "../../cli/write-docs.js";
import { DEFAULT_CONFIG_FILE, PACKAGE_ROOT } from "../../config/files.js";
import { RELOADABLE, SETTINGS } from "../../config/settings.js";
import { parseText } from "../../config/yaml.js";

t.test("the generated files are what the source generates; 'npm run docs' writes them", async (t) => {
  for (const [file, render] of GENERATED_FILES) {
    t.equal(readFileSync(join(PACKAGE_ROOT, file), "utf8") === render(), true, file);
  }
});

t.test("every setting is described, and what can be reloaded exists", async (t) => {
  for (const { path, node } of SETTINGS) t.ok((node.description ?? "").length > 3, path.join("."));
  const keys = SETTINGS.map(({ path }) => path.join("."));
  for (const path of RELOADABLE) t.ok(keys.includes(path), path);
});

t.test("the shipped file and its commented examples satisfy the JSON Schema", async (t) => {
  const schema = z.fromJSONSchema(JSON.parse(readFileSync(join(PACKAGE_ROOT, "config/sluice.schema.json"), "utf8")));
  const text = readFileSync(DEFAULT_CONFIG_FILE, "utf8");
  t.match(text, /^# yaml-language-server: \$schema=\.\/sluice\.schema\.json\n/);
  const plain = parseText(text);
  t.same(plain.problems, []);
  t.ok(schema.safeParse(plain.value).success);
  // The examples are the lines whose remark sign stands at the section's indentation.
  const shown = parseText(text.replace(/^ {2}# (?=\s*(- |\w+:))/gm, "  "));
  t.same(shown.problems, []);
  t.match(shown.value, {
    proxy: { aliases: [{ model: "medcat-snomed" }, { model: "gazetteer" }] },
    discovery: { static: [{ name: "medcat-snomed" }] },
    scheduler: { classes: { batch: { reservoir: { amount: 90 } } } },
  });
  t.ok(schema.safeParse(shown.value).success, "with the examples switched on");
  t.notOk(schema.safeParse({ proxy: { prot: 1 } }).success, "the schema does refuse");
  t.notOk(schema.safeParse({ proxy: { port: 70_000 } }).success);
});
