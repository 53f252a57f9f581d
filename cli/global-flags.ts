/** Flags every subcommand knows, and how they reach the configuration and the child processes. */
import { loadConfig } from "../config/load.js";

export interface GlobalFlags {
  readonly config?: string;
  readonly dataDir?: string;
  readonly host?: string;
  readonly port?: number;
}

/** What `loadConfig` is asked with; also what the sidecar reloads with. */
export function loadOptions(flags: GlobalFlags) {
  return {
    ...(flags.config === undefined ? {} : { file: flags.config }),
    env: process.env,
    cwd: process.cwd(),
    flags: {
      ...(flags.dataDir === undefined ? {} : { data_dir: flags.dataDir }),
      ...(flags.host === undefined ? {} : { "proxy.host": flags.host }),
      ...(flags.port === undefined ? {} : { "proxy.port": flags.port }),
    },
  };
}

/** @throws ConfigError with all faults at once */
export function loadConfiguration(flags: GlobalFlags) {
  return loadConfig(loadOptions(flags));
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
