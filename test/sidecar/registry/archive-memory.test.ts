/** What an archive holds in memory, measured in a process of its own. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import t from "tap";
import { makeFolder } from "../../helpers/folder.js";

const run = promisify(execFile);
const PROGRAM = fileURLToPath(new URL("./move-big.js", import.meta.url));
const MAX_GROWTH_MIB = 64;

t.test(
  "neither a body of 256 MiB nor forty readers who do not read make the process grow by 64 MiB",
  { skip: process.platform !== "linux" && "memory is read from /proc" },
  async (t) => {
    const { stdout } = await run(process.execPath, [PROGRAM, makeFolder(t)], { timeout: 120_000 });
    const growth = JSON.parse(stdout) as Record<string, number>;
    for (const [what, mib] of Object.entries(growth)) t.ok(mib < MAX_GROWTH_MIB, `${what}: ${mib.toFixed(1)} MiB`);
    t.comment(stdout);
  },
);
