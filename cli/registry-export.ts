/** `sluice registry export`. */
import { resolve } from "node:path";
import type { ExportFlags } from "./archive-commands.js";
import { runTransfer } from "./archive-transfer.js";

export async function exportArchive(dir: string, flags: ExportFlags): Promise<void> {
  const request = { dir: resolve(dir), modelIds: flags.model ?? null, merge: flags.merge === true };
  await runTransfer({ kind: "export", request }, flags);
}
