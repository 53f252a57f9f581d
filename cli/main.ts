#!/usr/bin/env node
/** The command `sluice`. */
import { CommanderError } from "commander";
import { programVersion } from "../config/files.js";
import { ConfigError } from "../config/load.js";
import { ACTIONS } from "./actions.js";
import { CliError, EXIT, type ExitCode } from "./exit.js";
import { createProgram } from "./program.js";

/** Says what went wrong and answers with the exit code. */
function explain(caught: unknown): ExitCode {
  if (caught instanceof CommanderError) return caught.exitCode === 0 ? EXIT.ok : EXIT.usage;
  if (caught instanceof ConfigError) {
    complain(caught.format());
    return EXIT.usage;
  }
  if (caught instanceof CliError) {
    complain(caught.message);
    if (caught.hint !== undefined) process.stderr.write(`  ${caught.hint}\n`);
    if (caught.requestId !== undefined) process.stderr.write(`  request id: ${caught.requestId}\n`);
    return caught.exitCode;
  }
  complain(caught instanceof Error ? (caught.stack ?? caught.message) : String(caught));
  return EXIT.failed;
}

function complain(text: string): void {
  process.stderr.write(`sluice: ${text}\n`);
}

try {
  await createProgram(ACTIONS, programVersion()).parseAsync();
} catch (caught) {
  process.exitCode = explain(caught);
}
