/** What the test files reported, gathered from their TAP. */
import { Parser, type Result } from "tap-parser";

interface Finding {
  /** File, subtests and assertion, outermost first. */
  readonly path: string;
  readonly detail: string;
}

export class Tally {
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

/** How the process of a test file ended. */
export interface FileEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Set when it was killed for taking this long. */
  readonly overMs: number | null;
}

/** Reads the report of one test file into a tally. */
export class FileReport {
  readonly parser: Parser;
  readonly #source: string;
  readonly #tally: Tally;
  #assertions = 0;
  #failures = 0;

  /** @param source the file's name as the report shall say it */
  constructor(source: string, tally: Tally) {
    this.#source = source;
    this.#tally = tally;
    this.parser = new Parser({ name: source });
    this.parser.on("result", () => {
      this.#assertions++;
    });
    this.parser.on("pass", () => {
      tally.passed++;
    });
    this.parser.on("fail", (result: Result) => this.#fail(nameResult(result), describeFailure(result)));
    this.parser.on("skip", (result: Result) => this.#leaveOut(nameResult(result), result.skip));
    this.parser.on("todo", (result: Result) => this.#leaveOut(nameResult(result), result.todo));
    this.parser.on("bailout", (reason: string) => this.#fail(`${source} > bailed out`, reason));
  }

  get assertions(): number {
    return this.#assertions;
  }

  /** Whatever went wrong without an assertion that says so is a failure, too. @returns true when nothing failed */
  end({ code, signal, overMs }: FileEnd): boolean {
    this.parser.end();
    const { plan, ok } = this.parser.results ?? {};
    if (plan?.skipAll) this.#leaveOut(this.#source, plan.skipReason);
    if (overMs !== null) this.#fail(this.#source, `it was killed, still running after ${overMs / 1_000} s`);
    else if (this.#failures === 0 && code !== 0) this.#fail(this.#source, `it ended with ${signal ?? code}`);
    else if (this.#failures === 0 && ok !== true) this.#fail(this.#source, "its report is not whole");
    else if (this.#assertions === 0 && !plan?.skipAll) this.#fail(this.#source, "it has no assertion");
    return this.#failures === 0;
  }

  #fail(path: string, detail: string): void {
    this.#failures++;
    this.#tally.failures.push({ path, detail });
  }

  #leaveOut(path: string, reason: string | boolean): void {
    const detail = typeof reason === "string" ? reason.replace(/^left out: /, "") : "";
    this.#tally.leftOut.push({
      path: path.replace(/ > left out: .*$/, ""),
      detail: detail === "" ? "no reason given" : detail,
    });
  }
}

function nameResult(result: Result): string {
  return result.fullname === "" ? "a test without a name" : result.fullname;
}

const MAX_LINES = 40;
const MAX_LINE_CHARS = 400;

export function shorten(text: string): string {
  const lines = text.split("\n").map((line) => line.slice(0, MAX_LINE_CHARS));
  return lines.length <= MAX_LINES ? lines.join("\n") : [...lines.slice(0, MAX_LINES), "..."].join("\n");
}

/** Where it failed, what tap tells of it in short values (code, exit code, signal, ...), and the difference or the stack. */
function describeFailure(result: Result): string {
  const { at, diff, stack, source: _, ...rest }: Record<string, unknown> = result.diag ?? {};
  const { fileName, lineNumber } = (at ?? {}) as { fileName?: string; lineNumber?: number };
  const place = fileName === undefined ? "" : `${fileName}:${lineNumber ?? 0}`;
  const facts = Object.entries(rest)
    .filter(([, value]) => ["string", "number", "boolean"].includes(typeof value))
    .map(([key, value]) => `${key}: ${String(value)}`);
  const tapError = typeof result.tapError === "string" ? result.tapError : "";
  const evidence = [diff, place === "" ? stack : undefined].filter((part) => typeof part === "string");
  return shorten([place, tapError, ...facts, ...evidence].filter((part) => part !== "").join("\n"));
}
