import { SluiceError } from "../../core/contract/errors.js";
import type { AdmitContext } from "../context.js";

export async function divertTask(_context: AdmitContext): Promise<void> {
  throw new SluiceError("SIDECAR_UNAVAILABLE", "the queue cannot be reached", { retryAfterMs: 1_000 });
}
