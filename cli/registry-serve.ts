/** `sluice registry serve`: the registry without proxies and sidecar, under its data folder's lock. */
import { type LoadedConfig, type LoadOptions, loadConfig } from "../config/load.js";
import { type RegistryFiles, registryFilesOf } from "../config/registry-files.js";
import { SluiceError } from "../core/contract/errors.js";
import { armFailpoints } from "../core/runtime/failpoints.js";
import { type RunningRegistry, runRegistry } from "../sidecar/registry/main.js";
import { lockRegistry } from "./data-lock.js";
import { CliError, EXIT, type ExitCode } from "./exit.js";
import { addressOf, assertRegistryPortFree } from "./listening.js";
import { REGISTRY_FLAGS, type RegistryServeFlags } from "./registry-serve-command.js";

/** For what is under way; a directory may take as long to be told. */
const STOP_MS = 5_000;
/** Beyond that, for closing what is left. */
const BACKSTOP_MS = 3_000;
/** Ctrl-C under `npm` arrives twice: from the terminal, and again from npm. */
const SAME_KEY_PRESS_MS = 300;

/** Resolves with the exit code once everything has stopped. */
export async function serveRegistry(flags: RegistryServeFlags): Promise<ExitCode> {
  armFailpoints(process.env.SLUICE_FAILPOINTS ?? null);
  const options = loadOptionsOf(flags);
  const loaded = loadConfig(options);
  // A reader of our output that goes away must not take the service with it.
  process.stdout.on("error", () => undefined);
  const files = registryFilesOf(loaded.config, options);
  const locks = await lockRegistry(loaded.config, files);
  try {
    await assertRegistryPortFree(loaded.config.registry, "--port, COGMENT_MODEL_REGISTRY_PORT or SLUICE_REGISTRY_PORT");
    return await run({ loaded, options, files });
  } catch (caught) {
    if (!(caught instanceof SluiceError)) throw caught;
    const { hint } = caught;
    throw new CliError(EXIT.failed, caught.message, { cause: caught, ...(hint === undefined ? {} : { hint }) });
  } finally {
    for (const lock of locks) lock.release();
  }
}

/** What is not told by a flag keeps its place among variable, file and default. */
function loadOptionsOf({ config, dataDir, ...flags }: RegistryServeFlags): LoadOptions {
  const given = Object.keys(REGISTRY_FLAGS).flatMap((key) => {
    const value = flags[key];
    if (value === undefined) return [];
    // As with Cogment's, an empty text is no value, whatever the variable says.
    return [
      [`registry.${key}`, value === "" && NULLABLE.has(key) ? null : typeof value === "number" ? String(value) : value],
    ];
  });
  return {
    ...(config === undefined ? {} : { file: config }),
    env: process.env,
    cwd: process.cwd(),
    flags: { ...(dataDir === undefined ? {} : { dataDir }), ...Object.fromEntries(given) },
  };
}

const NULLABLE: ReadonlySet<string> = new Set([
  "host",
  "archive_dir",
  "log_file",
  "directory_endpoint",
  "directory_authentication_token",
  "directory_registration_host",
]);

interface Run {
  readonly loaded: LoadedConfig;
  readonly options: LoadOptions;
  readonly files: RegistryFiles;
}

async function run({ loaded, options, files }: Run): Promise<ExitCode> {
  const registry = await runRegistry({ loaded, reload: options, ...files });
  const address = addressOf(registry.place);
  process.stdout.write(`${JSON.stringify({ event: "ready", registry: address, pid: process.pid })}\n`);
  return new Promise((resolve) => handleSignals(registry, resolve));
}

/** The first SIGTERM or SIGINT lets calls end, a second one ends at once. SIGHUP reloads. */
function handleSignals(registry: RunningRegistry, end: (code: ExitCode) => void): void {
  let firstAtMs: number | undefined;
  const stop = (signal: NodeJS.Signals) => {
    if (firstAtMs !== undefined) {
      if (signal !== "SIGINT" || Date.now() - firstAtMs > SAME_KEY_PRESS_MS) process.exit(EXIT.failed);
      return;
    }
    firstAtMs = Date.now();
    setTimeout(() => process.exit(EXIT.failed), STOP_MS + BACKSTOP_MS).unref();
    registry.stop(firstAtMs + STOP_MS).then(
      () => end(EXIT.ok),
      () => end(EXIT.failed),
    );
  };
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
  process.on("SIGHUP", () => registry.reload());
}
