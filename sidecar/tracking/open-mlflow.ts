/** MLflow as the configuration names it. */
import { readFile } from "node:fs/promises";
import type { Config } from "../../config/schema.js";
import { SluiceError } from "../../core/contract/errors.js";
import type { Clock } from "../../core/runtime/clock.js";
import type { Logger } from "../../core/runtime/logger.js";
import { createMlflow, type Mlflow } from "./mlflow.js";

/** @throws CONFIG_INVALID when the certificates cannot be read */
export async function openMlflow(tracking: Config["cms"]["tracking"], clock: Clock, logger: Logger): Promise<Mlflow> {
  const { uri, username, password, ca_file: caFile } = tracking;
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
