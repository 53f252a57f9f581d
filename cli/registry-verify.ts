/** `sluice registry verify`: every archived version read and held against its hash; a line for each that is damaged. */
import { existsSync } from "node:fs";
import { dirname } from "node:path";
import { registryFilesOf } from "../config/registry-files.js";
import type { RegistryProblem, VerifyProgress } from "../sidecar/registry/verify.js";
import { CliError, EXIT } from "./exit.js";
import { loadConfiguration, loadOptionsOf } from "./global-flags.js";
import { onInterrupt } from "./interrupt.js";
import type { VerifyFlags } from "./registry-commands.js";
import { formatBytes, plain } from "./terminal.js";
import { showTransfer, type TransferProgress } from "./transfer-progress.js";

export async function verifyVersions(flags: VerifyFlags): Promise<void> {
  const { config } = loadConfiguration(flags);
  const { databaseFile, archiveDir } = registryFilesOf(config, loadOptionsOf(flags));
  if (!existsSync(databaseFile)) {
    throw new CliError(EXIT.usage, `there is no registry in ${dirname(databaseFile)}`, {
      hint: "--config or --data-dir names another data folder.",
    });
  }
  const { verifyRegistry } = await import("../sidecar/registry/verify.js");
  const signal = onInterrupt();
  const bar = new VerifyBar();
  let problems = 0;
  try {
    const options = { databaseFile, archiveDir, signal, onProgress: bar.show };
    for await (const problem of verifyRegistry(options)) {
      problems += 1;
      bar.end();
      process.stdout.write(`${flags.json === true ? jsonOf(problem) : lineOf(problem)}\n`);
    }
  } catch (caught) {
    if (!signal.aborted) throw unreadable(caught, dirname(databaseFile));
    throw new CliError(EXIT.interrupted, "stopped before everything was read", { cause: caught });
  } finally {
    bar.end();
  }
  if (problems > 0) {
    process.exitCode = EXIT.failed;
    const found = problems === 1 ? "1 problem" : `${problems} problems`;
    process.stderr.write(`${found}: restore what is damaged from a backup, or delete it; docs/registry.md\n`);
  } else if (process.stdout.isTTY && flags.json !== true) process.stdout.write(`${bar.sum()}\n`);
}

/** `<model> <version> <problem>`; what belongs to no version is named by its place. */
function lineOf({ modelId, versionNumber, problem, path }: RegistryProblem): string {
  return plain(`${modelId ?? "-"} ${versionNumber ?? "-"} ${problem}${problem === "no-row" ? `  ${path}` : ""}`);
}

function jsonOf({ modelId, versionNumber, problem, path }: RegistryProblem): string {
  return JSON.stringify({ model_id: modelId, version_number: versionNumber, problem, path });
}

function unreadable(caught: unknown, dataDir: string): CliError {
  const { message } = caught as Error;
  return new CliError(EXIT.failed, `the registry in ${dataDir} cannot be read: ${message}`, { cause: caught });
}

class VerifyBar {
  #progress: TransferProgress | null = null;
  #last: VerifyProgress | null = null;

  readonly show = (progress: VerifyProgress): void => {
    this.#progress ??= showTransfer("Checking", progress.totalBytes);
    this.#last = progress;
    this.#progress.at(progress.dataBytes);
  };

  end(): void {
    this.#progress?.end();
    this.#progress = null;
  }

  sum(): string {
    if (this.#last === null) return "There are no archived versions.";
    const { versions, dataBytes } = this.#last;
    return `${versions === 1 ? "1 version" : `${versions} versions`}, ${formatBytes(dataBytes)}, all as they must be.`;
  }
}
