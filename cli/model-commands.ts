/** `sluice models` and `sluice on-demand`: names, flags and help. */
import type { Command } from "commander";
import { nearest } from "../config/nearest.js";
import {
  parseCpus,
  parseDuration,
  parseGpus,
  parseIdleTtl,
  parseLineCount,
  parseMemory,
  parseNumber,
  parseTtl,
} from "./arguments.js";
import type { ClientFlags } from "./client.js";
import { type GlobalFlags, withClientFlags, withFileFlags } from "./global-flags.js";

export type ShowFlags = ClientFlags & { json?: boolean };
export type AwaitFlags = ShowFlags & { wait?: boolean; timeout?: number };
export type DeployFlags = AwaitFlags & { modelUri?: string; trackingId?: string; ttl?: number };
export type LogFlags = GlobalFlags & { tail: number; follow?: boolean };

export interface ConfigFlags extends ShowFlags {
  readonly modelUri?: string;
  readonly trackingId?: string;
  /** Seconds. */
  readonly idleTtl?: number;
  readonly description?: string;
  /** Undefined: as it is. */
  readonly follow?: boolean;
  readonly memory?: string;
  readonly cpus?: string;
  readonly reserveMemory?: string;
  readonly gpus?: "all" | number;
}
export type CreateFlags = ConfigFlags & { replace: boolean; inherit: boolean };
export type UpdateFlags = ConfigFlags & {
  clearTrackingId?: boolean;
  clearIdleTtl?: boolean;
  clearDescription?: boolean;
  clearDeploy?: boolean;
};

export interface ModelActions {
  listModels(flags: ShowFlags): Promise<void>;
  showModel(name: string, flags: ShowFlags): Promise<void>;
  deployModel(name: string, flags: DeployFlags): Promise<void>;
  removeModel(name: string, flags: ClientFlags & { force?: boolean }): Promise<void>;
  startModel(name: string, flags: AwaitFlags): Promise<void>;
  stopModel(name: string, flags: ShowFlags): Promise<void>;
  printLogs(name: string, flags: LogFlags): Promise<void>;
  watchModels(name: string | undefined, flags: ShowFlags): Promise<void>;
  listOnDemand(flags: ShowFlags & { all?: boolean }): Promise<void>;
  showOnDemand(name: string, flags: ShowFlags): Promise<void>;
  listVersions(name: string, flags: ShowFlags): Promise<void>;
  createOnDemand(name: string, flags: CreateFlags): Promise<void>;
  updateOnDemand(name: string, flags: UpdateFlags): Promise<void>;
  disableOnDemand(name: string, flags: ClientFlags): Promise<void>;
  enableOnDemand(id: number, flags: ShowFlags): Promise<void>;
}

const NAME = ["<name>", "the model's name"] as const;
const TIMEOUT = "with --wait: at most this long, e.g. 90s, 5m (default: until it is ready or has failed)";

export function addModels(program: Command, actions: ModelActions): void {
  const models = program.command("models").description("look at models, deploy, start, stop and remove them");
  withClientFlags(defaultCommand(models, "list"))
    .description("list the models there are; asking starts none")
    .option("--json", "the API's own answer")
    .action((flags: ShowFlags) => actions.listModels(flags));
  withClientFlags(models.command("show"))
    .description("one model's page; asking does not start it")
    .argument(...NAME)
    .option("--json", "as JSON")
    .action((name: string, flags: ShowFlags) => actions.showModel(name, flags));
  withClientFlags(models.command("deploy"))
    .description("start a model server by hand, for a time")
    .argument("<name>", "what it is to be called")
    .option("--model-uri <uri>", "where the model is, such as models:/mine/3 or sluice://mine/latest")
    .option("--tracking-id <run>", "or the MLflow run that made it")
    .option(
      "--ttl <duration>",
      "removed after this long, e.g. 8h; 'never' keeps it (default: the configuration's)",
      parseTtl,
    )
    .option("--wait", "until it is ready")
    .option("--timeout <duration>", TIMEOUT, parseDuration)
    .option("--json", "the API's own answer")
    .action((name: string, flags: DeployFlags) => actions.deployModel(name, flags));
  withClientFlags(models.command("remove"))
    .description("drain, stop and forget a deployment")
    .argument(...NAME)
    .option("--force", "also one that does not run; never one in use")
    .action((name: string, flags: ClientFlags & { force?: boolean }) => actions.removeModel(name, flags));
  addOperations(models, actions);
}

function addOperations(models: Command, actions: ModelActions): void {
  withClientFlags(models.command("start"))
    .description("start a model, as a request would")
    .argument(...NAME)
    .option("--wait", "until it is ready")
    .option("--timeout <duration>", TIMEOUT, parseDuration)
    .option("--json", "its state as JSON")
    .action((name: string, flags: AwaitFlags) => actions.startModel(name, flags));
  withClientFlags(models.command("stop"))
    .description("drain and stop a model; the next request starts it again")
    .argument(...NAME)
    .option("--json", "its state as JSON")
    .action((name: string, flags: ShowFlags) => actions.stopModel(name, flags));
  withFileFlags(models.command("logs"))
    .description("a model server's own output; on the machine itself, by the sidecar's socket")
    .argument(...NAME)
    .option("--tail <n>", "lines of the past, 0 to 10000", parseLineCount, 100)
    .option("-f, --follow", "and every line that comes, until Ctrl-C")
    .action((name: string, flags: LogFlags) => actions.printLogs(name, flags));
  withClientFlags(models.command("watch"))
    .description("what becomes of the models, until Ctrl-C")
    .argument("[name]", "of this one (default: all)")
    .option("--json", "one JSON object per line")
    .action((name: string | undefined, flags: ShowFlags) => actions.watchModels(name, flags));
}

export function addOnDemand(program: Command, actions: ModelActions): void {
  const group = program.command("on-demand").description("which models requests may start, and how");
  withClientFlags(defaultCommand(group, "list"))
    .description("list the configurations")
    .option("--all", "disabled versions too")
    .option("--json", "as JSON")
    .action((flags: ShowFlags & { all?: boolean }) => actions.listOnDemand(flags));
  withClientFlags(group.command("show"))
    .description("the enabled configuration of a model")
    .argument(...NAME)
    .option("--json", "as JSON")
    .action((name: string, flags: ShowFlags) => actions.showOnDemand(name, flags));
  withClientFlags(group.command("history"))
    .description("all versions of a model's configuration, newest first")
    .argument(...NAME)
    .option("--json", "as JSON")
    .action((name: string, flags: ShowFlags) => actions.listVersions(name, flags));
  withConfigFlags(withClientFlags(group.command("create")))
    .description("a new configuration, or a new version that takes over what is not given")
    .argument(...NAME)
    .option("--no-replace", "refuse when there is an enabled one")
    .option("--no-inherit", "take nothing over from the enabled one")
    .action((name: string, flags: CreateFlags) => actions.createOnDemand(name, flags));
  withConfigFlags(withClientFlags(group.command("update")))
    .description("change the enabled configuration in place; it counts from the next start")
    .argument(...NAME)
    .option("--clear-tracking-id", "remove it")
    .option("--clear-idle-ttl", "back to the configuration's default")
    .option("--clear-description", "remove it")
    .option("--clear-deploy", "remove limits and reservations")
    .action((name: string, flags: UpdateFlags) => actions.updateOnDemand(name, flags));
  withClientFlags(group.command("disable"))
    .description("no request starts it any more; its versions stay, and so does a running server")
    .argument(...NAME)
    .action((name: string, flags: ClientFlags) => actions.disableOnDemand(name, flags));
  withClientFlags(group.command("enable"))
    .description("go back to a version")
    .argument("<id>", "of the version, as 'sluice on-demand history' lists it", parseNumber)
    .option("--json", "as JSON")
    .action((id: number, flags: ShowFlags) => actions.enableOnDemand(id, flags));
}

/**
 * What the group does when it is named alone. A mistyped subcommand ends up here too, with its arguments and flags: it is refused by
 * its own name, not as a word or flag too many.
 */
function defaultCommand(group: Command, name: string): Command {
  const command = group.command(name, { isDefault: true });
  return command
    .allowExcessArguments()
    .allowUnknownOption()
    .hook("preAction", () => {
      const [word] = command.args;
      if (word === undefined) return;
      if (word.startsWith("-"))
        return refuse(
          command,
          "option",
          word,
          command.options.map(({ long }) => long ?? ""),
        );
      if (group.args[0] !== name)
        return refuse(
          group,
          "command",
          word,
          group.commands.map((each) => each.name()),
        );
      command.error(`error: '${name}' takes no argument, but there is '${word}'`);
    });
}

function refuse(where: Command, kind: "command" | "option", word: string, known: readonly string[]): never {
  const near = nearest(word, known);
  where.error(`error: unknown ${kind} '${word}'${near === undefined ? "" : `\n(Did you mean ${near}?)`}`);
}

function withConfigFlags(command: Command): Command {
  return command
    .option("--model-uri <uri>", "where the model is, such as models:/mine/3 or sluice://mine/latest")
    .option("--tracking-id <run>", "or the MLflow run that made it")
    .option("--idle-ttl <duration>", "stopped after this long without use, e.g. 30m", parseIdleTtl)
    .option("--description <text>", "for people")
    .option("--follow", "replace a running server when the version that the URI's latest or alias means changes")
    .option("--no-follow", "leave it until its next start")
    .option("--memory <size>", "limit of its server, e.g. 4g; any of these four replaces all four", parseMemory)
    .option("--cpus <n>", "limit of its server, e.g. 1.5", parseCpus)
    .option("--reserve-memory <size>", "what its server needs", parseMemory)
    .option("--gpus <n>", "'all', or how many", parseGpus)
    .option("--json", "as JSON");
}
