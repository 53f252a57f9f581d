/** Our YAML from CogStack Model Gateway's file and variables. */
import { cmgFileOf, readCmgFile, readCmgVariables } from "./cmg.js";
import { type Environment, mergeVariables } from "./environment.js";
import { ConfigError, faultAt, maskCredentials } from "./faults.js";
import { display, readDotenv } from "./files.js";
import { faultsOf } from "./issues.js";
import { joinLayers, merge } from "./layers.js";
import { configSchema } from "./schema.js";
import { envName, isSecret } from "./settings.js";
import { toYaml } from "./yaml.js";

export interface ImportOptions {
  /** CMG's file; without it `CONFIG_FILE`. */
  readonly file?: string;
  readonly env: Environment;
  readonly cwd: string;
  /** Write secrets too; otherwise the variables to set are named. */
  readonly withSecrets: boolean;
}

export interface Imported {
  readonly yaml: string;
  readonly warnings: readonly string[];
}

/** @throws ConfigError when what CMG has cannot stand here */
export function importCmg({ file, env, cwd, withSecrets }: ImportOptions): Imported {
  const dotenv = readDotenv(cwd);
  const given = file === undefined ? env : { ...env, CONFIG_FILE: file };
  const variables = mergeVariables(given, dotenv.values, ".env");
  const path = cmgFileOf(variables, cwd);
  const cmg = readCmgFile(path, (each) => display(each, cwd));
  if (path !== null && cmg.path === null && cmg.layer.faults.length === 0) {
    const where = file === undefined ? "CONFIG_FILE" : display(path, cwd);
    const what = file === undefined ? `${display(path, cwd)} does not exist` : "there is no such file";
    throw new ConfigError([faultAt([], { source: "file", where }, what)]);
  }
  const layers = [cmg.layer, readCmgVariables(variables)];
  if (
    path === null &&
    layers.every((layer) => layer.entries.length + layer.faults.length + layer.warnings.length === 0)
  ) {
    const nothing = "is not set, and neither is a CMG_* variable; name the file to import";
    throw new ConfigError([faultAt([], { source: "file", where: "CONFIG_FILE" }, nothing)]);
  }
  const { entries, faults, warnings } = joinLayers(layers);
  const merged = merge(layers);
  const parsed = configSchema.safeParse(merged.raw);
  const rest = parsed.success ? [] : faultsOf(parsed.error.issues, merged);
  if (faults.length + rest.length > 0) throw new ConfigError([...faults, ...rest]);

  const secrets = entries.filter(({ path: at, value }) => holdsSecret(at, value));
  const kept = withSecrets
    ? layers
    : layers.map((layer) => ({ ...layer, entries: layer.entries.filter((each) => !secrets.includes(each)) }));
  const leftOut = withSecrets ? [] : [...new Set(secrets.map(({ path: at }) => envName(at)))];
  const { raw } = merge(kept);
  return {
    yaml: `${header(leftOut)}${Object.keys(raw).length === 0 ? "" : toYaml(raw)}`,
    warnings: [...dotenv.warnings, ...warnings],
  };
}

function holdsSecret(path: readonly string[], value: unknown): boolean {
  return (isSecret(path) && value !== null) || (typeof value === "string" && maskCredentials(value) !== value);
}

function header(leftOut: readonly string[]): string {
  const lines = [
    "# Made by 'sluice config import' from CogStack Model Gateway's configuration. Numbers of time are seconds.",
    ...(leftOut.length === 0 ? [] : ["# Secrets are not written here; set them in the environment:"]),
    ...leftOut.map((name) => `#   ${name}`),
  ];
  return `${lines.join("\n")}\n`;
}
