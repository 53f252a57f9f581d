/** docs/compatibility.md says what the rows say. That each row holds is shown by the tables' own tests. */
import { existsSync, readFileSync } from "node:fs";
import t from "tap";
import { outcomesOfAll, renderPage } from "./page.js";
import { TABLES } from "./tables.js";

t.test("the committed page is the one that a run writes in which every row holds", async (t) => {
  const committed = readFileSync(new URL("../../../docs/compatibility.md", import.meta.url), "utf8");
  t.equal(committed, renderPage(outcomesOfAll()), "run `npm run docs:compatibility` and commit what it writes");
});

t.test("every row has a name of its own, and every table a test", async (t) => {
  const ids = TABLES.flatMap(({ rows }) => rows.map(({ id }) => id));
  t.equal(new Set(ids).size, ids.length);
  for (const { id } of TABLES) t.ok(existsSync(new URL(`${id}.test.js`, import.meta.url)), id);
});

t.test("a row that did not hold is not shown as one that did", async (t) => {
  const [first] = TABLES[0]!.rows;
  const page = renderPage({ ...outcomesOfAll(), [first!.id]: false });
  t.match(page, /: \d+ as CMG does it, \d+ different on purpose, 1 not yet\./);
  t.match(page, `| ${first!.says} | no |  |`);
});
