import { readFile } from "node:fs/promises";
import t from "tap";
import { FLAGS } from "../../../examples/gazetteer/flags.js";
import { WISHES } from "../../../examples/gazetteer/misbehave.js";

const README = new URL("../../../../examples/gazetteer/README.md", import.meta.url);

t.test("the README lists every flag and every misbehaviour, as they are, and no others", async (t) => {
  const readme = await readFile(README, "utf8");
  const show = (value: unknown) => (value === null ? "none" : value === false ? "off" : String(value));
  const rows = [
    ...Object.values(FLAGS).map((flag) => `| \`--${flag.flag}\` | ${show(flag.default)} | ${flag.help} |`),
    ...Object.entries(WISHES).map(([wish, effect]) => `| \`${wish}\` | ${effect} |`),
  ];
  for (const row of rows) t.ok(readme.includes(`${row}\n`), row);
  t.equal(readme.split("\n").filter((line) => /^\| `(?:--)?[a-z0-9-]+` \|/u.test(line)).length, rows.length);
});
