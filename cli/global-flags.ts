/** Flags every subcommand knows, and how they reach the configuration and the child processes. */
import type { Command } from "commander";
import { type LoadedConfig, type LoadOptions, loadConfig } from "../config/load.js";
import { parsePort, parseUrl } from "./arguments.js";

export interface GlobalFlags {
  readonly config?: string;
  readonly dataDir?: string;
  readonly host?: string;
  readonly port?: number;
}

/** What the configuration is loaded with, and loaded again with. */
export function loadOptionsOf({ config, dataDir, port, host }: GlobalFlags): LoadOptions {
  const flags = Object.fromEntries(Object.entries({ dataDir, port, host }).filter(([, value]) => value !== undefined));
  return { ...(config === undefined ? {} : { file: config }), env: process.env, cwd: process.cwd(), flags };
}

/** @throws ConfigError with all faults at once */
export function loadConfiguration(flags: GlobalFlags): LoadedConfig {
  return loadConfig(loadOptionsOf(flags));
}

/** The same flags again, for a child process. */
export function flagsToArgs(flags: GlobalFlags): string[] {
  const args: string[] = [];
  if (flags.config !== undefined) args.push("--config", flags.config);
  if (flags.dataDir !== undefined) args.push("--data-dir", flags.dataDir);
  if (flags.host !== undefined) args.push("--host", flags.host);
  if (flags.port !== undefined) args.push("--port", String(flags.port));
  return args;
}

/** How they are typed. */
export function withFileFlags(command: Command): Command {
  return command
    .option("-c, --config <file>", "configuration file (default: SLUICE_CONFIG, then Sluice's own)")
    .option("--data-dir <folder>", "data folder")
    .option("--port <n>", "HTTP port; 0 takes a free one", parsePort)
    .option("--host <address>", "address to listen on");
}

/** Of a command that asks a running Sluice. */
export function withClientFlags(command: Command): Command {
  return withFileFlags(command).option(
    "--url <url>",
    "where Sluice answers (default: SLUICE_URL, then the configuration's host and port)",
    parseUrl,
  );
}
