/** A folder of a test's own, beside everybody's temporary files: what is synced in it costs what that place makes it cost. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Teardown } from "./gazetteer.js";

/** Unlike `t.testdir()` it may be in memory (see `test/run.ts`), and its path is short enough for a socket. Gone with the test. */
export function makeFolder(t: Teardown): string {
  const folder = mkdtempSync(join(tmpdir(), "sluice-"));
  t.teardown(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 }));
  return folder;
}
