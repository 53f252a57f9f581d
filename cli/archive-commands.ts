/** `sluice registry import` and `export`: names, flags and help. */
import type { Command } from "commander";
import { collectText } from "./arguments.js";
import { type GlobalFlags, withFileFlags } from "./global-flags.js";

export type ImportFlags = GlobalFlags & { replaceUserData?: boolean; json?: boolean };
export type ExportFlags = GlobalFlags & { model?: readonly string[]; merge?: boolean; json?: boolean };

export interface ArchiveActions {
  importArchive(dir: string, flags: ImportFlags): Promise<void>;
  exportArchive(dir: string, flags: ExportFlags): Promise<void>;
}

const WHERE = "on the machine itself, beside a running Sluice or without one";

export function addArchives(registry: Command, actions: ArchiveActions): void {
  withFileFlags(registry.command("import"))
    .description(`bring an archive of Cogment's model registry in, numbers and all; ${WHERE}`)
    .argument("<dir>", "the folder that Cogment's registry has as archive_dir; it is only read")
    .option("--replace-user-data", "models that are there already take over the archive's user data")
    .option("--json", "what became of everything that is not simply copied, and the sums, as one JSON object")
    .action((dir: string, flags: ImportFlags) => actions.importArchive(dir, flags));
  withFileFlags(registry.command("export"))
    .description(`write the archived versions out as Cogment's model registry keeps them; ${WHERE}`)
    .argument("<dir>", "a folder that is empty, or not there yet")
    .option("--model <id>", "this model alone; repeatable (default: all)", collectText)
    .option("--merge", "also into a folder that holds something; what is there already stays")
    .option("--json", "as with import")
    .action((dir: string, flags: ExportFlags) => actions.exportArchive(dir, flags));
}
