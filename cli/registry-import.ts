/** `sluice registry import`. */
import { resolve } from "node:path";
import type { ImportFlags } from "./archive-commands.js";
import { runTransfer } from "./archive-transfer.js";

export async function importArchive(dir: string, flags: ImportFlags): Promise<void> {
  const request = { dir: resolve(dir), replaceUserData: flags.replaceUserData === true };
  await runTransfer({ kind: "import", request }, flags);
}
