/**
 * Loads the configuration: default < CMG's file < `sluice.yaml` < environment < flags, validated as one, frozen.
 */
import { createHash } from "node:crypto";
import { tmpdir } from "node:os";
import { isAbsolute, join, relative, resolve } from "node:path";
import { readCmgFile, readCmgVariables } from "./cmg.js";
import { type Environment, layerOfText, mergeVariables, readEnvironment, type Variables } from "./environment.js";
import { findInconsistencies } from "./consistency.js";
import { ConfigError, type ConfigFault, faultAt, type Origin } from "./faults.js";
import { DEFAULT_CONFIG_FILE, PACKAGE_ROOT, readDotenv, readTextFile } from "./files.js";
import { faultsOf } from "./issues.js";
import { joinLayers, type Layer, layerOf, type Merged, merge, NO_LAYER, type Path } from "./layers.js";
import { type Config, configSchema } from "./schema.js";
import { SETTINGS } from "./settings.js";
import { type ParsedText, parseText } from "./yaml.js";

export { ConfigError, type ConfigFault } from "./faults.js";

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
    const own = parsed.error.issues.filter(({ code, path }) => code !== "custom" || !rest.some((each) => same(each.path, path)));
    faults.push(...faultsOf([...own, ...rest] as typeof own, sources.merged));
  }
  if (!parsed.success || faults.length > 0) throw new ConfigError(faults.sort(byPlace));
  const config = deepFreeze(resolvePaths(parsed.data, options.cwd));
  return { config, files: sources.files, warnings: [...sources.warnings, ...warningsOf(config)] };
}

/** The sources laid over one another, not yet validated. */
export function readSources(options: LoadOptions): Sources {
  const dotenv = readDotenv(options.cwd);
  const variables = mergeVariables(options.env, dotenv.values, ".env");
  const cmg = readCmgFile(cmgFileOf(variables, options.cwd), (file) => display(file, options.cwd));
  const file = readSluiceFile(options, variables);
  const layers = [
    cmg.layer,
    file.layer,
    readCmgVariables(variables),
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

/** An empty variable names no file. */
const named = (name: string | undefined) => (name === undefined || name === "" ? undefined : name);

function cmgFileOf({ values }: Variables, cwd: string): string | null {
  const name = named(values["CONFIG_FILE"]);
  return name === undefined ? null : resolve(cwd, name);
}

function fileOf(options: LoadOptions, variables: Variables): { path: string; origin: Origin; isDefault: boolean } {
  if (options.file !== undefined) {
    return {
      path: resolve(options.cwd, options.file),
      origin: { source: "flag", where: "--config" },
      isDefault: false,
    };
  }
  const name = named(variables.values["SLUICE_CONFIG"]);
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
export function layerOfFile(text: string, shown: string): Layer {
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

export function originsIn(parsed: ParsedText, shown: string): (path: Path) => Origin {
  return (path) => {
    const line = parsed.locate(path)?.line;
    return line === undefined ? { source: "file", where: shown } : { source: "file", where: `${shown}:${line}`, line };
  };
}

const FLAG_PATHS: Readonly<Record<string, string>> = { dataDir: "data_dir", port: "proxy.port", host: "proxy.host" };
const FLAG_NAMES: Readonly<Record<string, string>> = { dataDir: "--data-dir", port: "--port", host: "--host" };
const BY_PATH = new Map(SETTINGS.map((setting) => [setting.path.join("."), setting]));

function readFlags(flags: Readonly<Record<string, unknown>>): Layer {
  const layers = Object.entries(flags).map(([flag, value]) => {
    if (value === undefined) return NO_LAYER;
    const dotted = Object.hasOwn(FLAG_PATHS, flag) ? FLAG_PATHS[flag]! : flag;
    const origin: Origin = { source: "flag", where: FLAG_NAMES[flag] ?? `flag ${dotted}` };
    const setting = BY_PATH.get(dotted);
    if (setting !== undefined && typeof value === "string") return layerOfText(setting, value, origin);
    return layerOf(value, () => origin, dotted.split("."));
  });
  return joinLayers(layers);
}

/** Longest path of a Unix socket that every system takes. */
const LONGEST_SOCKET_BYTES = 100;

function socketFaults({ raw, originOf }: Merged, cwd: string): ConfigFault[] {
  const path = ["sidecar", "socket"];
  const value = (raw.sidecar as { socket?: unknown } | undefined)?.socket;
  if (typeof value !== "string" || Buffer.byteLength(resolve(cwd, value)) <= LONGEST_SOCKET_BYTES) return [];
  const message = `must be a path of at most ${LONGEST_SOCKET_BYTES} bytes, counted from the root`;
  return [faultAt(path, originOf(path)!, message, { value })];
}

/** Where the sidecar listens: `sidecar.socket`, else in the data folder; a folder too deep for a socket gets one among temporary files. */
export function socketPathOf(config: Config): string {
  if (config.sidecar.socket !== null) return config.sidecar.socket;
  const inside = join(config.data_dir, "sidecar.sock");
  if (Buffer.byteLength(inside) <= LONGEST_SOCKET_BYTES) return inside;
  const name = createHash("sha256").update(config.data_dir).digest("hex").slice(0, 24);
  return join(tmpdir(), `sluice-${name}.sock`);
}

/** File paths made absolute, and {sluice_home} filled in with the folder Sluice is installed in. */
function resolvePaths(config: Config, cwd: string): Config {
  const absolute = <T extends string | null>(path: T) => (path === null ? path : resolve(cwd, path)) as T;
  const home = (text: string) => text.replaceAll("{sluice_home}", PACKAGE_ROOT);
  const launched = <T extends { command: string[]; env: Record<string, string>; cwd: string | null }>(each: T): T => ({
    ...each,
    command: each.command.map(home),
    env: Object.fromEntries(Object.entries(each.env).map(([name, value]) => [name, home(value)])),
    cwd: each.cwd === null ? null : absolute(home(each.cwd)),
  });
  const { deployment } = config.models;
  return {
    ...config,
    data_dir: absolute(config.data_dir),
    sidecar: { ...config.sidecar, socket: absolute(config.sidecar.socket) },
    discovery: { ...config.discovery, process: config.discovery.process.map(launched) },
    models: {
      ...config.models,
      deployment: { ...deployment, process: deployment.process === null ? null : launched(deployment.process) },
    },
    registry: {
      ...config.registry,
      archive_dir: absolute(config.registry.archive_dir),
      log_file: absolute(config.registry.log_file),
    },
  };
}

function warningsOf(config: Config): string[] {
  if (/^(127\.|::1$|localhost$)/.test(config.proxy.host)) return [];
  return [`proxy.host is ${config.proxy.host}: whoever reaches this machine can use Sluice, there are no API keys yet`];
}

function deepFreeze<T>(value: T): T {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return value;
  Object.values(value).forEach(deepFreeze);
  return Object.freeze(value);
}

/** A path as a person at `cwd` would write it. */
function display(path: string, cwd: string): string {
  const near = relative(cwd, path);
  return near === "" || near.startsWith("..") || isAbsolute(near) ? path : near;
}

const same = (a: readonly PropertyKey[], b: readonly PropertyKey[]) => a.join("\u0000") === b.join("\u0000");
const ORDER = { file: 0, env: 1, flag: 2 } as const;
const byPlace = (a: ConfigFault, b: ConfigFault) => ORDER[a.source] - ORDER[b.source] || (a.line ?? 0) - (b.line ?? 0);
