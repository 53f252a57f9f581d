/** Holds every table, one after the other, and writes what came of it to docs/compatibility.md (`npm run docs:compatibility`). */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { renderPage } from "./page.js";
import { OUTCOMES_VARIABLE, type Outcomes } from "./table.js";
import { TABLES } from "./tables.js";

const PAGE = fileURLToPath(new URL("../../../docs/compatibility.md", import.meta.url));
const WITHIN_MS = 300_000;

function hold(id: string, folder: string): Outcomes {
  const file = fileURLToPath(new URL(`${id}.test.js`, import.meta.url));
  const env = { ...process.env, [OUTCOMES_VARIABLE]: folder, TAP_TIMEOUT: String(WITHIN_MS / 1_000) };
  spawnSync(process.execPath, [file], { env, stdio: "ignore", timeout: WITHIN_MS });
  const written = join(folder, `${id}.json`);
  return existsSync(written) ? (JSON.parse(readFileSync(written, "utf8")) as Outcomes) : {};
}

const folder = mkdtempSync(join(tmpdir(), "compatibility-"));
const outcomes: Record<string, boolean> = {};
for (const { id, rows } of TABLES) {
  const startedMs = performance.now();
  const found = hold(id, folder);
  Object.assign(outcomes, found);
  const failed = rows.filter((row) => found[row.id] !== true).map((row) => row.id);
  const seconds = ((performance.now() - startedMs) / 1_000).toFixed(1);
  process.stdout.write(`${id}: ${rows.length - failed.length} of ${rows.length} hold, ${seconds} s\n`);
  for (const row of failed) process.stdout.write(`  no: ${row}\n`);
}
rmSync(folder, { recursive: true });
writeFileSync(PAGE, renderPage(outcomes));
