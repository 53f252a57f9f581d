#!/usr/bin/env node
/** The command `sluice`. */
import { readFileSync } from "node:fs";
import { ConfigError } from "../config/load.js";
import { CliError, EXIT, type ExitCode } from "./exit.js";
import { createProgram, type Invocation, type Subcommand } from "./program.js";

async function perform(subcommand: Subcommand, invocation: Invocation): Promise<void> {
  switch (subcommand) {
    case "serve": {
      const { serve } = await import("./serve.js");
      process.exitCode = await serve(invocation.flags);
      return;
    }
    case "proxy": {
      const { proxy } = await import("./proxy.js");
      return proxy(invocation.flags);
    }
    case "sidecar": {
      const { sidecar } = await import("./sidecar.js");
      return sidecar(invocation.flags);
    }
  }
}

function explain(caught: unknown): ExitCode {
  if (caught instanceof ConfigError) {
    process.stderr.write(`${caught.format()}\n`);
    return EXIT.usage;
  }
  if (caught instanceof CliError) {
    process.stderr.write(`sluice: ${caught.message}\n`);
    if (caught.hint !== undefined) process.stderr.write(`  ${caught.hint}\n`);
    if (caught.requestId !== undefined) process.stderr.write(`  request id: ${caught.requestId}\n`);
    return caught.exitCode;
  }
  process.stderr.write(`sluice: ${caught instanceof Error ? (caught.stack ?? caught.message) : String(caught)}\n`);
  return EXIT.failed;
}

function packageVersion(): string {
  const path = new URL("../../package.json", import.meta.url);
  return (JSON.parse(readFileSync(path, "utf8")) as { version: string }).version;
}

try {
  await createProgram(perform, packageVersion()).parseAsync();
} catch (caught) {
  process.exitCode = explain(caught);
}
