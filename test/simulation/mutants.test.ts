/** The checker is worth what it finds: every fault planted in the scheduler is rejected, within so many histories. */
import { linkSync, mkdirSync, readdirSync, readFileSync, rmSync, unlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import t from "tap";
import { MUTANTS, type Mutant } from "./mutants.js";
import { runHistories } from "./run-histories.js";

const DIST = fileURLToPath(new URL("../..", import.meta.url));
/** Beside the packages, so that their names resolve. */
const CACHE = join(DIST, "../node_modules/.cache/sluice-mutants", String(process.pid));
const NEEDED = ["core", "config", "sidecar", "test/simulation"];
const HISTORIES = 20_000;
const AT_A_TIME = 2;

t.setTimeout(600_000);
t.teardown(() => rmSync(CACHE, { recursive: true, force: true }));

/** The compiled program with one fault in it; all but the one file is linked. */
function plant({ file, find, replace }: Mutant, dir: string): void {
  for (const part of NEEDED) linkTree(join(DIST, part), join(dir, part));
  writeFileSync(join(dir, "package.json"), '{ "type": "module" }');
  const path = join(dir, "sidecar", `${file}.js`);
  const whole = readFileSync(path, "utf8");
  const found = whole.split(find).length - 1;
  if (found !== 1) throw new Error(`'${find}' stands ${found} times in sidecar/${file}.js; choose another text`);
  unlinkSync(path);
  writeFileSync(
    path,
    whole.replace(find, () => replace),
  );
}

function linkTree(from: string, to: string): void {
  for (const each of readdirSync(from, { recursive: true, encoding: "utf8" })) {
    if (!each.endsWith(".js")) continue;
    mkdirSync(dirname(join(to, each)), { recursive: true });
    linkSync(join(from, each), join(to, each));
  }
}

t.test("the checker rejects every planted fault", { jobs: AT_A_TIME }, async (t) => {
  t.ok(MUTANTS.length >= 10);
  for (const [at, mutant] of MUTANTS.entries()) {
    t.test(mutant.name, async (t) => {
      const dir = join(CACHE, String(at));
      plant(mutant, dir);
      const { failed, histories, told } = await runHistories(dir, [
        "--from",
        String(mutant.from ?? 1),
        "--count",
        String(HISTORIES),
        "--first",
      ]);
      t.not(failed.length, 0, `it lived through ${histories} histories`);
      t.comment(`${histories} histories: ${told[0]}`);
    });
  }
});
