/** MLflow as the configuration names it. */
import { readFile } from "node:fs/promises";
import type { Config } from "../../config/schema.js";
import { SluiceError } from "../../core/contract/errors.js";
import type { Clock } from "../../core/runtime/clock.js";
import type { Logger } from "../../core/runtime/logger.js";
import { createMlflow, type Mlflow } from "./mlflow.js";

/**
 * @returns null where the address is none that can be asked over HTTP (CMG's file may hold `file:` or a database): then the model
 * servers alone tell of runs
 * @throws CONFIG_INVALID when the certificates cannot be read
 */
export async function openMlflow(
  tracking: Config["cms"]["tracking"],
  clock: Clock,
  logger: Logger,
): Promise<Mlflow | null> {
  const { uri, username, password, ca_file: caFile } = tracking;
  if (!/^https?:\/\//.test(uri) || !URL.canParse(uri)) {
    logger.warn(
      { event: "mlflow_not_asked" },
      "tracking.uri is no http:// or https:// URL: runs are asked for at the model servers alone",
    );
    return null;
  }
  const ca = caFile === null ? null : await readCertificates(caFile);
  return createMlflow({ uri, username, password, ca, clock, logger });
}

async function readCertificates(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (cause) {
    const code = String((cause as { code?: unknown }).code);
    throw new SluiceError("CONFIG_INVALID", `tracking.ca_file '${file}' cannot be read (${code})`, { cause });
  }
}
