/** The command line: names, flags and help of every subcommand. What they do is loaded only when it is asked for. */
import { Command, type OptionValues } from "commander";
import { parsePort } from "./arguments.js";
import { configCommand } from "./config.js";
import type { GlobalFlags } from "./global-flags.js";

export type Subcommand = "serve" | "proxy" | "sidecar";

export interface Invocation {
  readonly flags: GlobalFlags;
  readonly args: readonly string[];
  readonly options: OptionValues;
}

/** Does what was asked for. */
export type Perform = (subcommand: Subcommand, invocation: Invocation) => Promise<void>;

export function createProgram(perform: Perform, version: string): Command {
  const program = new Command("sluice");
  program
    .option("--config <file>", "configuration file")
    .option("--data-dir <dir>", "data folder")
    .option("--host <host>", "address")
    .option("--port <n>", "port", parsePort)
    .version(version);
  for (const name of ["serve", "proxy", "sidecar"] as const) {
    program.command(name).action(async (options: OptionValues) => {
      await perform(name, { flags: program.opts<GlobalFlags>(), args: [], options });
    });
  }
  program.addCommand(configCommand());
  return program;
}
