import { SluiceError } from "../../core/contract/errors.js";
import type { AdmitContext } from "../context.js";

export interface GatePermit {
  /** How long the request waited for its permit. */
  readonly queueMs: number;
  /** Aborts when the permit is lost. */
  readonly signal: AbortSignal;
  release(): void;
}

export async function acquireGate(_context: AdmitContext): Promise<GatePermit> {
  throw new SluiceError("SIDECAR_UNAVAILABLE", "no permit can be had", { retryAfterMs: 1_000 });
}
