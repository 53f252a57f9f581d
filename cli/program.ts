/** The command line: names, flags and help of every subcommand. What they do comes in as {@link Actions}. */
import { Command, Option } from "commander";
import { FAILURE_REASONS, TASK_STATUSES } from "../core/contract/tasks.js";
import {
  collectPair,
  parseDuration,
  parseHeaderText,
  parseLimit,
  parseMoment,
  parsePriority,
  parseReason,
  parseSpan,
  parseStatus,
} from "./arguments.js";
import { configCommand } from "./config.js";
import { EXIT } from "./exit.js";
import { type GlobalFlags, withClientFlags, withFileFlags } from "./global-flags.js";
import type { ListFlags } from "./list-tasks.js";
import { addModels, addOnDemand, type ModelActions, type ShowFlags } from "./model-commands.js";
import { addRegistry, type RegistryActions } from "./registry-commands.js";
import { addRegistryServe, type RegistryServeActions } from "./registry-serve-command.js";
import type { Submission, SubmitFlags } from "./submit.js";
import type { WaitFlags } from "./tasks.js";

/** What the subcommands do. */
export interface Actions extends ModelActions, RegistryActions, RegistryServeActions {
  serve(flags: GlobalFlags): Promise<void>;
  proxy(flags: GlobalFlags): Promise<void>;
  sidecar(flags: GlobalFlags): Promise<void>;
  listTasks(flags: ListFlags): Promise<void>;
  showTask(id: string, flags: ShowFlags): Promise<void>;
  explainTask(id: string, flags: ShowFlags): Promise<void>;
  waitForTask(id: string, flags: WaitFlags): Promise<void>;
  cancelTask(id: string, flags: ShowFlags): Promise<void>;
  submit(submission: Submission): Promise<void>;
}

const EXAMPLES = `
Examples:
  sluice serve                                        everything, on http://127.0.0.1:8888
  sluice serve --config team.yaml --port 9000
  sluice models                                       what can be asked
  sluice models deploy mine --model-uri models:/mine/3 --wait
  sluice submit gazetteer process note.txt            hand in a task, wait, print its result
  sluice submit gazetteer process_bulk notes.json --output entities.json
  sluice tasks list --status pending                  what waits
  sluice tasks why 0b5c6a4e-6d0f-4c2b-9a55-0d6a1f1f4c11   and for what
  sluice registry push medcat model.zip --create      keep a model's version
  sluice registry serve --archive_dir models          the model registry alone
  sluice config check                                 is the configuration right?

Exit codes:
  ${EXIT.ok} done   ${EXIT.failed} failed   ${EXIT.usage} usage or configuration   ${EXIT.unreachable} cannot reach Sluice   ${EXIT.timedOut} timed out waiting   ${EXIT.interrupted} interrupted

Every setting: docs/configuration.md. Every command: docs/cli.md.`;

export function createProgram(actions: Actions, version: string): Command {
  const program = withFileFlags(new Command("sluice"))
    .description("One door in front of a team's model servers: light requests pass, heavy work is written down first.")
    .version(version, "-V, --version")
    .exitOverride()
    .showHelpAfterError("Try --help.")
    .enablePositionalOptions()
    .addHelpText("after", EXAMPLES)
    .hook("preAction", useFlagsBeforeTheName);
  addServers(program, actions);
  addModels(program, actions);
  addOnDemand(program, actions);
  addSubmit(program, actions);
  addTasks(program, actions);
  addRegistry(program, actions);
  addRegistryServe(program, actions);
  return program.addCommand(configCommand());
}

/** `sluice --config FILE serve` means what `sluice serve --config FILE` means; the flag nearer to the end wins. */
function useFlagsBeforeTheName(program: Command, command: Command): void {
  for (const [name, value] of Object.entries(program.opts())) {
    if (command.getOptionValue(name) === undefined) command.setOptionValue(name, value);
  }
}

function addServers(program: Command, actions: Actions): void {
  const texts = {
    serve: "start a sidecar and the proxies, and start again what dies",
    proxy: "run one proxy alone",
    sidecar: "run the sidecar alone",
  } as const;
  for (const name of ["serve", "proxy", "sidecar"] as const) {
    withFileFlags(program.command(name))
      .description(texts[name])
      .action((flags: GlobalFlags) => actions[name](flags));
  }
}

const SUBMIT_EXAMPLES = `
Examples:
  sluice submit gazetteer process note.txt
  cat notes.json | sluice submit gazetteer process_bulk - > entities.json
  sluice submit medcat train_supervised --form trainer_export=@a.json --form trainer_export=@b.json --param epochs=2 --no-wait
`;

function addSubmit(program: Command, actions: Actions): void {
  withClientFlags(program.command("submit"))
    .description("hand in a task, wait for its end and bring its result")
    .argument("<model>", "the model's name, as 'sluice models' lists it")
    .argument("<task>", "process, process_bulk, train_supervised, …")
    .argument("[file]", "what to send; '-' reads standard input")
    .option("--content-type <type>", "of the input (default: the task's own)", parseHeaderText)
    .option("--form <name=value>", "a part of a multipart form, name=@file for a file; repeatable", collectPair)
    .option("--param <name=value>", "a query parameter for the model server; repeatable", collectPair)
    .option("--priority <n>", "0 (most urgent) to 9 (default: the class's own)", parsePriority)
    .option("--tenant <name>", "for whom: tenants take turns", parseHeaderText)
    .option(
      "--deadline <duration>",
      "how long it may wait for its start, e.g. 10m (default: the class's own)",
      parseSpan,
    )
    .option("--callback <url>", "told when the task has ended", parseHeaderText)
    .option("--idempotency-key <key>", "handing in again with this key meets the same task", parseHeaderText)
    .option("-o, --output <file>", "write the result here instead of standard output")
    .option("--no-wait", "print the task's id and end")
    .option("--timeout <duration>", "wait at most this long, e.g. 90s, 5m (default: until it ends)", parseDuration)
    .option("--json", "print the task as JSON; its result only goes to --output")
    .addHelpText("after", SUBMIT_EXAMPLES)
    .action((model: string, task: string, file: string | undefined, flags: SubmitFlags) =>
      actions.submit({ model, task, file, flags }),
    );
}

function addTasks(program: Command, actions: Actions): void {
  const tasks = program.command("tasks").description("look at tasks, wait for them, cancel them");
  addTaskList(tasks, actions);
  withClientFlags(tasks.command("show"))
    .description("one task's page")
    .argument("<id>", "the task's id")
    .option("--json", "as JSON")
    .action((id: string, flags: ShowFlags) => actions.showTask(id, flags));
  withClientFlags(tasks.command("why"))
    .description("what a task waits for, and until when, about")
    .argument("<id>", "the task's id")
    .option("--json", "as JSON")
    .action((id: string, flags: ShowFlags) => actions.explainTask(id, flags));
  withClientFlags(tasks.command("wait"))
    .description("wait for a task's end and bring its result")
    .argument("<id>", "the task's id")
    .option("-o, --output <file>", "write the result here instead of standard output")
    .option("--timeout <duration>", "wait at most this long, e.g. 90s, 5m (default: until it ends)", parseDuration)
    .option("--json", "print the task as JSON; its result only goes to --output")
    .action((id: string, flags: WaitFlags) => actions.waitForTask(id, flags));
  withClientFlags(tasks.command("cancel"))
    .description("cancel a task that waits, or a training that runs")
    .argument("<id>", "the task's id")
    .option("--json", "as JSON")
    .action((id: string, flags: ShowFlags) => actions.cancelTask(id, flags));
}

const MOMENT = "such as 2h or 2026-01-31T08:00";

function addTaskList(tasks: Command, actions: Actions): void {
  withFileFlags(tasks.command("list"))
    .description("list tasks, newest first; on the machine itself, by the sidecar's socket")
    .option("--model <name>", "of this model")
    .option("--task <name>", "of this kind: process_bulk, train_supervised, …")
    .option("--status <status>", TASK_STATUSES.join(", "), parseStatus)
    .option("--reason <reason>", `failed for this: ${FAILURE_REASONS.join(", ")}`, parseReason)
    .option("--class <name>", "of this class")
    .option("--tenant <name>", "of this tenant")
    .option("--since <when>", `created this long ago at most, or not before this time; ${MOMENT}`, parseMoment)
    .option("--until <when>", `created this long ago at least, or before this time; ${MOMENT}`, parseMoment)
    .option("--limit <n>", "at most this many", parseLimit, 50)
    .addOption(new Option("--all", "as many as there are").conflicts("limit"))
    .option("--json", "whole tasks as one JSON array")
    .action((flags: ListFlags) => actions.listTasks(flags));
}
