/** What Docker refused, as whoever asked for it is told. */
import { SluiceError } from "../../../core/contract/errors.js";
import type { Logger } from "../../../core/runtime/logger.js";
import { faultOf } from "../docker-fault.js";

/**
 * DOCKER_UNAVAILABLE, or DEPLOY_FAILED with `problem`: the daemon's own words may hold anything, they are for operators.
 * @param problem what did not work, in words fit for a caller
 */
export function refusalOf(cause: unknown, model: string, problem: string, logger: Logger): SluiceError {
  const { kind, message } = faultOf(cause);
  if (kind === "away") return new SluiceError("DOCKER_UNAVAILABLE", message, { cause });
  logger.warn({ event: "docker_refused", model, reason: message }, problem);
  return new SluiceError("DEPLOY_FAILED", `Model '${model}': ${problem}.`, { cause });
}
