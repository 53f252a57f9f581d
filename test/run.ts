/**
 * Runs the tests and says plainly what happened: `node dist/test/run.js [file…]`.
 *
 * Without arguments every `test/**\/*.test.ts` runs, in its compiled form; a compiled test whose source is gone does not. The
 * last line is always `N passed, N failed, N skipped`, counted in assertions. The exit code is 1 when anything failed, when
 * nothing ran, and, with `SLUICE_TEST_REQUIRE_SERVICES=1`, when anything was left out.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { constants } from "node:os";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { Parser, type Result } from "tap-parser";

const root = fileURLToPath(new URL("../..", import.meta.url));

interface Finding {
  /** File, subtests and assertion, outermost first. */
  readonly path: string;
  readonly detail: string;
}

class Tally {
  passed = 0;
  readonly failures: Finding[] = [];
  readonly leftOut: Finding[] = [];

  get line(): string {
    return `${this.passed} passed, ${this.failures.length} failed, ${this.leftOut.length} skipped`;
  }

  isGood(requireServices: boolean): boolean {
    if (this.failures.length > 0 || this.passed === 0) return false;
    return !(requireServices && this.leftOut.length > 0);
  }
}

/** All tests that have a source, relative to the root, as sources. */
function listSources(): string[] {
  return readdirSync(join(root, "test"), { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".test.ts"))
    .map((path) => join("test", path))
    .sort();
}

/** The compiled form of a test named by its source or by its compiled file, relative to the root. */
function findCompiled(named: string): string {
  const path = relative(root, resolve(named));
  const compiled = path.startsWith("dist/") ? path : join("dist", path.replace(/\.ts$/, ".js"));
  if (!existsSync(join(root, compiled))) throw new Error(`${named} has no compiled form ${compiled}`);
  return compiled;
}

function nameSource(text: string): string {
  return text.replace(/\bdist\/(test\/[^\s>]+)\.js/g, "$1.ts");
}

const MAX_LINES = 40;
const MAX_LINE_CHARS = 400;

function shorten(text: string): string {
  const lines = text.split("\n").map((line) => line.slice(0, MAX_LINE_CHARS));
  return lines.length <= MAX_LINES ? lines.join("\n") : [...lines.slice(0, MAX_LINES), "..."].join("\n");
}

/** Where it failed, what tap tells of it in short values (code, exit code, signal, ...), and the difference or the stack. */
function describeFailure(result: Result): string {
  const { at, diff, stack, source: _, ...rest }: Record<string, unknown> = result.diag ?? {};
  const { fileName, lineNumber } = (at ?? {}) as { fileName?: string; lineNumber?: number };
  const place = fileName === undefined ? "" : `${nameSource(fileName)}:${lineNumber ?? 0}`;
  const facts = Object.entries(rest)
    .filter(([, value]) => ["string", "number", "boolean"].includes(typeof value))
    .map(([key, value]) => `${key}: ${String(value)}`);
  const tapError = typeof result.tapError === "string" ? result.tapError : "";
  const evidence = [diff, place === "" ? stack : undefined].filter((part) => typeof part === "string");
  return shorten([place, tapError, ...facts, ...evidence].filter((part) => part !== "").join("\n"));
}

/** Reads a TAP stream into a tally; prints a line for each test file that ends. */
function readResults(tally: Tally): Parser {
  const parser = new Parser();
  const counts = new Map<string, number>();
  const name = (result: Result) => nameSource(result.fullname === "" ? "a test without a name" : result.fullname);
  const leaveOut = (result: Result, reason: string | boolean) => {
    const detail = typeof reason === "string" ? reason.replace(/^left out: /, "") : "no reason given";
    tally.leftOut.push({ path: name(result).replace(/ > left out: .*$/, ""), detail });
  };
  parser.on("result", ({ fullname }: Result) => {
    const file = fullname.split(" > ", 1)[0] ?? "";
    counts.set(file, (counts.get(file) ?? 0) + 1);
  });
  parser.on("pass", () => {
    tally.passed++;
  });
  parser.on("fail", (result: Result) => {
    // A file that ran out of time is named in the details alone.
    const expired = result.diag?.expired;
    const path = typeof expired === "string" ? nameSource(expired) : name(result);
    tally.failures.push({ path, detail: describeFailure(result) });
  });
  parser.on("skip", (result: Result) => leaveOut(result, result.skip));
  parser.on("todo", (result: Result) => leaveOut(result, result.todo));
  parser.on("bailout", (reason: string) => tally.failures.push({ path: "bailed out", detail: reason }));
  parser.on("assert", (result: Result) => {
    const seconds = result.time === null ? "" : `, ${(result.time / 1000).toFixed(1)} s`;
    const line = `${nameSource(result.name)} (${counts.get(result.name) ?? 1}${seconds})`;
    process.stdout.write(`${result.ok ? "  ok" : "FAIL"}  ${line}\n`);
  });
  return parser;
}

function startTap(files: readonly string[]): ChildProcess {
  const tap = join(dirname(createRequire(import.meta.url).resolve("tap/package.json")), "dist/esm/run.mjs");
  const child = spawn(process.execPath, [tap, "run", "--reporter=tap", ...files], {
    cwd: root,
    stdio: ["ignore", "pipe", "inherit"],
  });
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => {
      child.kill(signal);
      child.once("close", () => process.exit(128 + constants.signals[signal]));
    });
  }
  return child;
}

/** Runs tap to its end; what tap itself complains about counts as a failure. */
async function runTap(files: readonly string[], tally: Tally): Promise<void> {
  const child = startTap(files);
  const parser = readResults(tally);
  const parsed = new Promise<void>((done) => parser.once("complete", () => done()));
  child.stdout?.on("data", (chunk: Buffer) => parser.write(chunk));
  child.stdout?.once("end", () => parser.end());
  const code = await new Promise<number | null>((done, fail) => {
    child.once("error", fail);
    child.once("close", done);
  });
  await parsed;
  if (code !== 0 && tally.failures.length === 0) {
    tally.failures.push({ path: "tap", detail: `it ended with ${code ?? "a signal"} though no test failed` });
  }
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
const named = process.argv.slice(2);
const files = (named.length > 0 ? named : listSources().map((path) => join(root, path))).map(findCompiled);
if (files.length > 0) await runTap(files, tally);
printSummary(tally, (performance.now() - startedMs) / 1000);
process.exitCode = tally.isGood(process.env.SLUICE_TEST_REQUIRE_SERVICES === "1") ? 0 : 1;
