/** Starts a model server's program: its own process group, its output in a file of its own. */
import { type ChildProcess, spawn } from "node:child_process";
import { inheritedEnvironment } from "../../../config/inherited-environment.js";
import type { ProcessModelConfig } from "../../../config/schema.js";
import { fillIn, type PlaceholderValues } from "../placeholders.js";
import { startFailure } from "./driver.js";
import { RUN_ID_VARIABLE } from "./process-table.js";

/** What the registry gives a start. */
export interface RegistryGift {
  /** Of the version; null for a model of another scheme. */
  readonly modelUri: string | null;
  /** The version's file; null where there is none. */
  readonly packageFile: string | null;
  /** Of the model's place in it; empty where nobody knows, or asks. */
  readonly registryUrl: string;
}

export const NO_GIFT: RegistryGift = { modelUri: null, packageFile: null, registryUrl: "" };

export interface SpawnedAs {
  readonly port: number;
  readonly given: RegistryGift;
  readonly runId: string;
  /** An open file; null: nowhere. */
  readonly output: number | null;
}

/** Resolves once its program runs. @throws MODEL_START_FAILED */
export async function spawnServer(
  entry: ProcessModelConfig,
  { port, given, runId, output }: SpawnedAs,
): Promise<ChildProcess> {
  const values: PlaceholderValues = {
    name: entry.name,
    model_uri: given.modelUri ?? entry.model_uri ?? "",
    model_path: given.packageFile ?? "",
    model_type: entry.model_type ?? "",
    port: String(port),
    registry_url: given.registryUrl,
  };
  const [program, ...args] = entry.command.map((part) => fillIn(part, values));
  const own = Object.fromEntries(Object.entries(entry.env).map(([name, value]) => [name, fillIn(value, values)]));
  try {
    const child = spawn(program!, args, {
      cwd: entry.cwd ?? undefined,
      env: { ...inheritedEnvironment(), ...own, [RUN_ID_VARIABLE]: runId },
      detached: true,
      stdio: ["ignore", output ?? "ignore", output ?? "ignore"],
    });
    await new Promise((resolve, reject) => {
      child.once("spawn", () => resolve(undefined));
      child.once("error", reject);
    });
    child.on("error", () => undefined);
    child.unref();
    return child;
  } catch (cause) {
    const { code } = cause as { code?: unknown };
    const known = typeof code === "string" ? code : "unknown reason";
    throw startFailure(`its program could not be started (${known})`, cause);
  }
}
