/**
 * Loads the configuration: default < CMG's file < `sluice.yaml` < environment < flags, validated as one, frozen.
 */
import { join, resolve } from "node:path";
import { cmgFileOf, readCmgFile, readCmgVariables, readDockerHost } from "./cmg.js";
import { readCogmentVariables } from "./cogment.js";
import { findInconsistencies } from "./consistency.js";
import { type Environment, layerOfText, mergeVariables, readEnvironment, type Variables } from "./environment.js";
import { ConfigError, type ConfigFault, faultAt, type Origin } from "./faults.js";
import { DEFAULT_CONFIG_FILE, display, named, readDotenv, readTextFile } from "./files.js";
import { faultsOf } from "./issues.js";
import { joinLayers, type Layer, layerOf, type Merged, merge, NO_LAYER, type Path } from "./layers.js";
import { isLoopback } from "./loopback.js";
import { resolvePaths, socketFaults } from "./paths.js";
import { registryHostOf } from "./registry-places.js";
import { type Config, configSchema } from "./schema.js";
import { SETTINGS } from "./settings.js";
import { type ParsedText, parseText } from "./yaml.js";

export { needsRestart } from "./changes.js";
export { ConfigError, type ConfigFault, formatFault } from "./faults.js";
export { socketPathOf } from "./paths.js";
export { archiveDirOf, registryHostOf } from "./registry-places.js";

export interface LoadOptions {
  /** `--config`. Without it `SLUICE_CONFIG`, then the `config/sluice.yaml` of the package. */
  readonly file?: string;
  readonly env: Environment;
  /** Relative paths start here, in the configuration too. */
  readonly cwd: string;
  /** `dataDir`, `port`, `host`, or any key by its dotted path. Text is read like a variable's. */
  readonly flags?: {
    readonly dataDir?: string;
    readonly port?: number;
    readonly host?: string;
    readonly [dottedPath: string]: unknown;
  };
}

export interface LoadedConfig {
  /** Complete, validated, deep-frozen; file paths are absolute. */
  readonly config: Config;
  /** The files that were read; null where there was none. */
  readonly files: ConfigFiles;
  /** What an operator should know, in whole sentences. */
  readonly warnings: readonly string[];
}

export interface ConfigFiles {
  readonly sluice: string | null;
  readonly cmg: string | null;
  readonly dotenv: string | null;
}

/** Everything that was found before the schema sees it. */
export interface Sources {
  readonly merged: Merged;
  readonly files: ConfigFiles;
  readonly faults: readonly ConfigFault[];
  readonly warnings: readonly string[];
}

/** @throws ConfigError with every fault there is */
export function loadConfig(options: LoadOptions): LoadedConfig {
  const sources = readSources(options);
  const faults = [...sources.faults, ...socketFaults(sources.merged, options.cwd)];
  const parsed = configSchema.safeParse(sources.merged.raw);
  if (!parsed.success) {
    // The schema looks at what hangs together only when each value is right by itself.
    const rest = findInconsistencies(sources.merged.raw).map((each) => ({ code: "custom" as const, ...each }));
    const own = parsed.error.issues.filter(
      ({ code, path }) => code !== "custom" || !rest.some((each) => same(each.path, path)),
    );
    faults.push(...faultsOf([...own, ...rest] as typeof own, sources.merged));
  }
  if (!parsed.success || faults.length > 0) throw new ConfigError(faults.sort(byPlace));
  const config = deepFreeze(resolvePaths(parsed.data, options.cwd));
  const warnings = [...sources.warnings, ...warningsOf(config)];
  return { config, files: sources.files, warnings };
}

/** The sources laid over one another, not yet validated. */
export function readSources(options: LoadOptions): Sources {
  const dotenv = readDotenv(options.cwd);
  const variables = mergeVariables(options.env, dotenv.values, ".env");
  const cmg = readCmgFile(cmgFileOf(variables, options.cwd), (file) => display(file, options.cwd));
  const file = readSluiceFile(options, variables);
  const layers = [
    readDockerHost(variables),
    cmg.layer,
    file.layer,
    readCmgVariables(variables),
    readCogmentVariables(variables),
    readEnvironment(variables),
    readFlags(options.flags ?? {}),
  ];
  const all = joinLayers(layers);
  return {
    merged: merge(layers),
    files: { sluice: file.path, cmg: cmg.path, dotenv: dotenv.path },
    faults: all.faults,
    warnings: [...dotenv.warnings, ...all.warnings],
  };
}

/** The files that would be read, whether they exist or not: what a watcher looks at. */
export function filesToWatch(options: LoadOptions): string[] {
  const variables = mergeVariables(options.env, readDotenv(options.cwd).values, ".env");
  const cmg = cmgFileOf(variables, options.cwd);
  return [fileOf(options, variables).path, ...(cmg === null ? [] : [cmg]), join(options.cwd, ".env")];
}

function fileOf(options: LoadOptions, variables: Variables): { path: string; origin: Origin; isDefault: boolean } {
  if (options.file !== undefined) {
    return {
      path: resolve(options.cwd, options.file),
      origin: { source: "flag", where: "--config" },
      isDefault: false,
    };
  }
  const name = named(variables.values.SLUICE_CONFIG);
  const path = name === undefined ? DEFAULT_CONFIG_FILE : resolve(options.cwd, name);
  return {
    path,
    origin: { source: "env", where: variables.nameOf("SLUICE_CONFIG") },
    isDefault: name === undefined,
  };
}

function readSluiceFile(options: LoadOptions, variables: Variables): { path: string | null; layer: Layer } {
  const { path, origin, isDefault } = fileOf(options, variables);
  const read = readTextFile(path);
  const shown = display(path, options.cwd);
  if ("text" in read) return { path, layer: layerOfFile(read.text, shown) };
  if (read.missing && isDefault) return { path: null, layer: NO_LAYER };
  const where = isDefault ? ({ source: "file", where: shown } as const) : origin;
  return { path: null, layer: { ...NO_LAYER, faults: [faultAt([], where, `${shown} ${read.problem}`)] } };
}

/** A YAML or JSON text as a layer, each value with its line. */
function layerOfFile(text: string, shown: string): Layer {
  const parsed = parseText(text);
  const at = (line: number, column: number): Origin => ({ source: "file", where: `${shown}:${line}:${column}`, line });
  if (parsed.problems.length > 0) {
    return {
      ...NO_LAYER,
      faults: parsed.problems.map(({ line, column, message }) => faultAt([], at(line, column), message)),
    };
  }
  const layer = parsed.value === null ? NO_LAYER : layerOf(parsed.value, originsIn(parsed, shown));
  const warnings = parsed.warnings.map(({ line, message }) => `${shown}:${line}: ${message}`);
  return { ...layer, warnings: [...layer.warnings, ...warnings] };
}

function originsIn(parsed: ParsedText, shown: string): (path: Path) => Origin {
  return (path) => {
    const line = parsed.locate(path)?.line;
    return line === undefined ? { source: "file", where: shown } : { source: "file", where: `${shown}:${line}`, line };
  };
}

const FLAG_PATHS: Readonly<Record<string, string>> = { dataDir: "data_dir", port: "proxy.port", host: "proxy.host" };
const FLAG_NAMES: Readonly<Record<string, string>> = {
  data_dir: "--data-dir",
  "proxy.port": "--port",
  "proxy.host": "--host",
};
/** Those of `sluice registry serve` are named like the keys. */
const flagName = (dotted: string) =>
  FLAG_NAMES[dotted] ?? (/^registry\.\w+$/.test(dotted) ? `--${dotted.slice("registry.".length)}` : `flag ${dotted}`);
const BY_PATH = new Map(SETTINGS.map((setting) => [setting.path.join("."), setting]));

function readFlags(flags: Readonly<Record<string, unknown>>): Layer {
  const layers = Object.entries(flags).map(([flag, value]) => {
    if (value === undefined) return NO_LAYER;
    const dotted = Object.hasOwn(FLAG_PATHS, flag) ? FLAG_PATHS[flag]! : flag;
    const origin: Origin = { source: "flag", where: flagName(dotted) };
    const setting = BY_PATH.get(dotted);
    if (setting !== undefined && typeof value === "string") return layerOfText(setting, value, origin);
    return layerOf(value, () => origin, dotted.split("."));
  });
  return joinLayers(layers);
}

/** What gRPC clients take in one message by default, less the few bytes around a chunk. */
const DEFAULT_CLIENT_BYTES = 4 * 2 ** 20 - 16;

function warningsOf(config: Config): string[] {
  const { proxy, callbacks, registry } = config;
  const registryHost = registryHostOf(registry);
  const isAsked = callbacks.url !== null || (callbacks.allow ?? []).length > 0;
  return [
    ...(isLoopback(proxy.host)
      ? []
      : [`proxy.host is ${proxy.host}: whoever reaches this machine can use Sluice, there are no API keys yet`]),
    ...(isLoopback(registryHost)
      ? []
      : [
          `registry.host is ${registryHost}: whoever reaches this machine can use the registry, there are no API keys yet`,
        ]),
    ...(registry.sent_version_chunk_size > DEFAULT_CLIENT_BYTES
      ? ["registry.sent_version_chunk_size is above 4 MiB: clients refuse such messages unless told otherwise"]
      : []),
    ...(isAsked && callbacks.secret === null
      ? ["callbacks.secret is not set: a receiver cannot tell Sluice's callbacks from anybody else's"]
      : []),
  ];
}

function deepFreeze<T>(value: T): T {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return value;
  Object.values(value).forEach(deepFreeze);
  return Object.freeze(value);
}

const same = (a: readonly PropertyKey[], b: readonly PropertyKey[]) => a.join("\u0000") === b.join("\u0000");
const ORDER = { file: 0, env: 1, flag: 2 } as const;
const byPlace = (a: ConfigFault, b: ConfigFault) => ORDER[a.source] - ORDER[b.source] || (a.line ?? 0) - (b.line ?? 0);
