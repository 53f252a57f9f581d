/** `sluice registry`: names, flags and help. */
import type { Command } from "commander";
import { type ArchiveActions, addArchives } from "./archive-commands.js";
import { collectPair, parseAlias, parseLimit, parseModelVersion, parseRegistryId, parseVersion } from "./arguments.js";
import type { ClientFlags } from "./client.js";
import { type GlobalFlags, withClientFlags, withFileFlags } from "./global-flags.js";
import type { ShowFlags } from "./model-commands.js";

export type ListRegistryFlags = ShowFlags & { limit: number; all?: boolean };
export type AliasFlags = ShowFlags & { remove?: boolean; history?: boolean };
export type VerifyFlags = GlobalFlags & { json?: boolean };
export type DeleteFlags = ClientFlags & { force?: boolean; allVersions?: boolean };

export interface PushFlags extends ShowFlags {
  readonly versionData?: readonly (readonly [string, string])[];
  readonly transient?: boolean;
  readonly alias?: string;
  readonly create?: boolean;
}

export interface PullFlags extends ShowFlags {
  readonly output?: string;
  readonly force?: boolean;
}

/** A model, and one of its versions where one was named: a number, `latest` or an alias. */
export interface ModelVersion {
  readonly modelId: string;
  readonly version: string | null;
}

export interface AliasChange {
  readonly modelId: string;
  readonly alias: string | undefined;
  readonly version: string | undefined;
}

export interface RegistryActions extends ArchiveActions {
  listRegistry(modelId: string | undefined, flags: ListRegistryFlags): Promise<void>;
  pushVersion(modelId: string, file: string, flags: PushFlags): Promise<void>;
  pullVersion(which: ModelVersion, flags: PullFlags): Promise<void>;
  changeAlias(change: AliasChange, flags: AliasFlags): Promise<void>;
  deleteFromRegistry(which: ModelVersion, flags: DeleteFlags): Promise<void>;
  verifyVersions(flags: VerifyFlags): Promise<void>;
}

const MODEL = ["<model>", "the model's id in the registry", parseRegistryId] as const;
const VERSION = "MODEL, or MODEL/VERSION: a number, 'latest' or an alias";

const EXAMPLES = `
Examples:
  sluice registry push medcat model.zip --create --alias champion
  sluice registry list medcat
  sluice registry pull medcat/champion -o model.zip
  sluice models deploy medcat --model-uri sluice://medcat/champion
`;

export function addRegistry(program: Command, actions: RegistryActions): void {
  const registry = program
    .command("registry")
    .description("put model versions into the registry, fetch them, name them, check them")
    .addHelpText("after", EXAMPLES);
  withClientFlags(registry.command("list"))
    .description("list the models there are, or the versions of one, newest first")
    .argument("[model]", MODEL[1], parseRegistryId)
    .option("--limit <n>", "at most this many", parseLimit, 50)
    .option("--all", "as many as there are, whatever the limit")
    .option("--json", "the API's own words, as one array")
    .action((modelId: string | undefined, flags: ListRegistryFlags) => actions.listRegistry(modelId, flags));
  addTransfers(registry, actions);
  addUpkeep(registry, actions);
  addArchives(registry, actions);
}

function addTransfers(registry: Command, actions: RegistryActions): void {
  withClientFlags(registry.command("push"))
    .description("upload a file as the model's new version; goes on by itself after a lost connection")
    .argument(...MODEL)
    .argument("<file>", "the version's bytes")
    .option("--version-data <name=value>", "kept with the version; repeatable", collectPair)
    .option("--transient", "in memory alone: it goes with the process, or when newer ones need its room")
    .option("--alias <alias>", "then let this alias mean it", parseAlias)
    .option("--create", "make the model if it is not there")
    .option("--json", "the version as JSON")
    .action((modelId: string, file: string, flags: PushFlags) => actions.pushVersion(modelId, file, flags));
  withClientFlags(registry.command("pull"))
    .description("download a version, check it, and only then give it its name")
    .argument("<version>", `${VERSION} (default: latest)`, parseModelVersion)
    .option("-o, --output <file>", "what it is to be called (default: MODEL-vNUMBER.data)")
    .option("--force", "replace the file that has this name")
    .option("--json", "the version as JSON")
    .action((which: ModelVersion, flags: PullFlags) => actions.pullVersion(which, flags));
}

function addUpkeep(registry: Command, actions: RegistryActions): void {
  withClientFlags(registry.command("alias"))
    .description("list a model's aliases; show, set or remove one")
    .argument(...MODEL)
    .argument("[alias]", "show this one", parseAlias)
    .argument("[version]", "let it mean this version: a number, 'latest' or another alias", parseVersion)
    .option("--remove", "let it mean nothing any more")
    .option("--history", "what it meant and since when, newest first")
    .option("--json", "as JSON")
    .action((modelId: string, alias: string | undefined, version: string | undefined, flags: AliasFlags) =>
      actions.changeAlias({ modelId, alias, version }, flags),
    );
  withClientFlags(registry.command("delete"))
    .description("delete a version for good; its number is never used again")
    .argument("<version>", VERSION, parseModelVersion)
    .option("--all-versions", "delete the model with all its versions")
    .option("--force", "also what something is deployed from")
    .action((which: ModelVersion, flags: DeleteFlags) => actions.deleteFromRegistry(which, flags));
  withFileFlags(registry.command("verify"))
    .description("read every archived version and list what is damaged; on the machine itself, beside a running Sluice")
    .option("--json", "one JSON object per line")
    .action((flags: VerifyFlags) => actions.verifyVersions(flags));
}
