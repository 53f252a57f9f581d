/** Runs one compiled test file as a process of its own. */
import { type ChildProcess, spawn } from "node:child_process";
import { tmpdir } from "node:os";
import { FileReport, type Tally } from "./tally.js";

/** Of a subtest and of a whole file that names no other. It is what `npx tap` takes from package.json. */
const TEST_LIMIT_S = 300;
/** No file may ask for more: this long and it hangs where its own timer cannot see it. */
const FILE_LIMIT_MS = 1_200_000;
/** A process that does not end when asked is killed. */
const END_WITHIN_MS = 5_000;

export interface TestFile {
  readonly source: string;
  readonly compiled: string;
  /** Where its temporary folders are made; what is too big for memory goes where the operating system says (`SLUICE_TEST_DISK`). */
  readonly folder: string;
}

const running = new Set<ChildProcess>();

/** Passes a signal on to the files that run now. */
export function signalAll(signal: NodeJS.Signals): void {
  for (const child of running) child.kill(signal);
}

/**
 * Plain `node`, not `tap run`: tap's runner loads hooks into every Node process below it (mocks, a list of the loaded modules), which
 * doubles the CPU time of a suite that starts so many. What the file writes is the same TAP.
 */
export async function runFile(root: string, { source, compiled, folder }: TestFile, tally: Tally): Promise<void> {
  const startedMs = performance.now();
  const report = new FileReport(source, tally);
  const child = spawn(process.execPath, ["--enable-source-maps", compiled], {
    cwd: root,
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, TAP_TIMEOUT: String(TEST_LIMIT_S), TMPDIR: folder, SLUICE_TEST_DISK: tmpdir() },
  });
  running.add(child);
  let overMs: number | null = null;
  const over = setTimeout(() => {
    overMs = FILE_LIMIT_MS;
    child.kill("SIGTERM");
    setTimeout(() => child.kill("SIGKILL"), END_WITHIN_MS).unref();
  }, FILE_LIMIT_MS);
  child.stdout.on("data", (chunk: Buffer) => report.parser.write(chunk));
  const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (...ended) => resolve(ended));
  });
  clearTimeout(over);
  running.delete(child);
  const isGood = report.end({ code, signal, overMs });
  const seconds = ((performance.now() - startedMs) / 1_000).toFixed(1);
  process.stdout.write(`${isGood ? "  ok" : "FAIL"}  ${source} (${report.assertions}, ${seconds} s)\n`);
}
