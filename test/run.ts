/**
 * Runs the tests and says plainly what happened: `node dist/test/run.js [file…]`.
 *
 * Without arguments every `test/**\/*.test.ts` runs, in its compiled form; a compiled test whose source is gone does not. The
 * last line is always `N passed, N failed, N skipped`, counted in assertions. The exit code is 1 when anything failed, when
 * nothing ran, and, with `SLUICE_TEST_REQUIRE_SERVICES=1`, when anything was left out.
 */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statfsSync } from "node:fs";
import { constants, tmpdir } from "node:os";
import { join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { runFile, signalAll, type TestFile } from "./runner/run-file.js";
import { shorten, Tally } from "./runner/tally.js";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** More than a small machine has cores: most files wait most of the time. */
const AT_A_TIME = 3;
/** They hold Sluice to a promised time, so nothing else runs beside them, and their folders are on the disk. */
const ALONE = ["clients", "full-disk", "redis", "restart"].map((name) => `test/e2e/${name}.test.ts`);

/** Linux' memory, as a folder. */
const MEMORY = "/dev/shm";
const MEMORY_NEEDED_BYTES = 2 ** 31;

/**
 * Where the files that run together make their folders: in memory where there is enough of it. A commit waits for the disk, thousands of
 * times in all, and on a slow disk the suite does nothing else. No test can tell: what survives a killed process survives in either, and
 * pulling the plug is beyond a test. `TMPDIR` names another place.
 */
function makeScratch(): string {
  const isRoomy = () => {
    const { bavail, bsize } = statfsSync(MEMORY);
    return bavail * bsize >= MEMORY_NEEDED_BYTES;
  };
  const useMemory = process.env.TMPDIR === undefined && existsSync(MEMORY) && isRoomy();
  return mkdtempSync(join(useMemory ? MEMORY : tmpdir(), "tests-"));
}

/** All tests that have a source, relative to the root, as sources. */
function listSources(): string[] {
  return readdirSync(join(root, "test"), { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".test.ts"))
    .map((path) => join("test", path))
    .sort();
}

/** A test named by its source or by its compiled file. */
function findTest(named: string, folder: string): TestFile {
  const source = relative(root, resolve(named))
    .replace(/^dist\//, "")
    .replace(/\.js$/, ".ts");
  const compiled = join("dist", source.replace(/\.ts$/, ".js"));
  if (!existsSync(join(root, compiled))) throw new Error(`${named} has no compiled form ${compiled}`);
  return { source, compiled, folder: ALONE.includes(source) ? tmpdir() : folder };
}

/** Daemons share the machine's packet filter: one that starts takes away for a moment what another one's containers need. */
function startsDocker({ source }: TestFile): boolean {
  return readFileSync(join(root, source), "utf8").includes("startDocker");
}

/** Begins them in their order, so many at a time; of those that start a Docker daemon one at a time. */
async function runFiles(files: readonly TestFile[], atATime: number, tally: Tally): Promise<void> {
  const withDocker = new Set(files.filter(startsDocker));
  const others = files.filter((file) => !withDocker.has(file)).values();
  const work = async (queue: Iterable<TestFile>) => {
    for (const file of queue) await runFile(root, file, tally);
  };
  const first = work(withDocker).then(() => work(others));
  await Promise.all([first, ...Array.from({ length: atATime - 1 }, () => work(others))]);
}

function printSummary(tally: Tally, seconds: number): void {
  const lines: string[] = [""];
  if (tally.failures.length > 0) lines.push("failures:");
  for (const { path, detail } of tally.failures) {
    lines.push(`  ${shorten(path)}`, ...detail.split("\n").map((line) => `      ${line}`));
  }
  for (const { path, detail } of tally.leftOut) lines.push(`left out: ${path} – ${detail}`);
  lines.push(`${seconds.toFixed(0)} s`, tally.line);
  process.stdout.write(`${lines.join("\n")}\n`);
}

const startedMs = performance.now();
const tally = new Tally();
const scratch = makeScratch();
process.once("exit", () => rmSync(scratch, { recursive: true, force: true }));
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => {
    signalAll(signal);
    process.exit(128 + constants.signals[signal]);
  });
}
process.stdout.write(`folders of tests are made in ${scratch}\n`);
const named = process.argv.slice(2);
const sources = named.length > 0 ? named : listSources().map((path) => join(root, path));
const files = sources.map((path) => findTest(path, scratch));
const isAlone = ({ source }: TestFile) => ALONE.includes(source);
await runFiles(
  files.filter((file) => !isAlone(file)),
  AT_A_TIME,
  tally,
);
await runFiles(files.filter(isAlone), 1, tally);
printSummary(tally, (performance.now() - startedMs) / 1000);
process.exitCode = tally.isGood(process.env.SLUICE_TEST_REQUIRE_SERVICES === "1") ? 0 : 1;
