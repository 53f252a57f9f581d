/** `sluice config`: check, print, schema, import. Exit codes: `EXIT.ok`, and `EXIT.usage` where the configuration or the command line is wrong. */
import { chmodSync, existsSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { Command } from "commander";
import { effectiveSettings, flattened, originWords } from "../config/effective.js";
import { importCmg } from "../config/import-cmg.js";
import { ConfigError, formatFault, loadConfig, readSources } from "../config/load.js";
import { renderJsonSchema } from "../config/reference.js";
import { formatPath } from "../config/settings.js";
import { toYaml } from "../config/yaml.js";
import { EXIT } from "./exit.js";
import { type GlobalFlags, loadOptionsOf, withFileFlags } from "./global-flags.js";

export function configCommand(): Command {
  const config = new Command("config").description("look at, check and import the configuration");
  config.exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : EXIT.usage));
  withFileFlags(config.command("check"))
    .description("check the configuration and list every fault")
    .action((_options, command: Command) => guarded(() => check(command.optsWithGlobals<GlobalFlags>())));
  withFileFlags(config.command("print"))
    .description("print the configuration in force as YAML, secrets masked")
    .option("--json", "as JSON")
    .option("--origin", "with the source of each value")
    .action((_options, command: Command) =>
      guarded(() => print(command.optsWithGlobals<GlobalFlags & PrintOptions>())),
    );
  config
    .command("schema")
    .description("print the JSON Schema of the configuration file, for editors")
    .action(() => void process.stdout.write(renderJsonSchema()));
  config
    .command("import")
    .description("write our YAML from CogStack Model Gateway's file and CMG_* variables")
    .argument("[file]", "its config.json or .jsonc (default: CONFIG_FILE)")
    .option("-o, --output <file>", "write here instead of standard output")
    .option("--force", "overwrite an existing file")
    .option("--with-secrets", "write secrets too; a file is then readable by its owner only")
    .action((file: string | undefined, options: ImportFlags) => guarded(() => importFile(file, options)));
  return config;
}

/** Prints the faults of a configuration that cannot be used and sets the exit code. */
function guarded(act: () => void): void {
  try {
    act();
  } catch (caught) {
    if (!(caught instanceof ConfigError)) throw caught;
    for (const fault of caught.faults) complain("error", formatFault(fault));
    process.exitCode = EXIT.usage;
  }
}

const COLOURS = { error: "\u001b[31m", warning: "\u001b[33m" } as const;

function complain(kind: keyof typeof COLOURS, text: string): void {
  const isColoured = process.stderr.isTTY === true && (process.env.NO_COLOR ?? "") === "";
  const word = isColoured ? `${COLOURS[kind]}${kind}\u001b[0m` : kind;
  process.stderr.write(`${word}: ${text}\n`);
}

function check(options: GlobalFlags): void {
  const { warnings, files } = loadConfig(loadOptionsOf(options));
  for (const warning of warnings) complain("warning", warning);
  process.stdout.write(`config is valid${files.sluice === null ? "" : `: ${files.sluice}`}\n`);
}

interface PrintOptions {
  readonly json?: boolean;
  readonly origin?: boolean;
}

function print(options: GlobalFlags & PrintOptions): void {
  const from = loadOptionsOf(options);
  const loaded = loadConfig(from);
  const sources = readSources(from);
  const settings = effectiveSettings(loaded, sources);
  for (const warning of loaded.warnings) complain("warning", warning);
  if (options.json !== true) {
    process.stdout.write(toYaml(settings, options.origin === true ? (path) => originWords(sources, path) : undefined));
    return;
  }
  const withOrigin = () =>
    Object.fromEntries(
      flattened(settings).map(([path, value]) => [formatPath(path), { value, origin: originWords(sources, path) }]),
    );
  process.stdout.write(`${JSON.stringify(options.origin === true ? withOrigin() : settings, null, 2)}\n`);
}

interface ImportFlags {
  readonly output?: string;
  readonly force?: boolean;
  readonly withSecrets?: boolean;
}

function importFile(file: string | undefined, { output, force, withSecrets = false }: ImportFlags): void {
  const target = output === undefined ? undefined : resolve(output);
  if (target !== undefined && force !== true && existsSync(target)) {
    fail(`${target} exists; --force overwrites it`);
    return;
  }
  const { yaml, warnings } = importCmg({
    ...(file === undefined ? {} : { file }),
    env: process.env,
    cwd: process.cwd(),
    withSecrets,
  });
  for (const warning of warnings) complain("warning", warning);
  if (target === undefined) process.stdout.write(yaml);
  else writeImported(target, yaml, { force: force === true, isPrivate: withSecrets });
}

function writeImported(target: string, yaml: string, how: { force: boolean; isPrivate: boolean }): void {
  try {
    writeFileSync(target, yaml, { flag: how.force ? "w" : "wx", mode: how.isPrivate ? 0o600 : 0o644 });
    if (how.isPrivate) chmodSync(target, 0o600);
  } catch (caught) {
    const { code } = caught as NodeJS.ErrnoException;
    fail(code === "EEXIST" ? `${target} exists; --force overwrites it` : `${target} cannot be written (${code})`);
  }
}

function fail(text: string): void {
  complain("error", text);
  process.exitCode = EXIT.usage;
}
