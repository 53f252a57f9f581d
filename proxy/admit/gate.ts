/** Gate mode in the proxy: asks the sidecar for a permit and keeps it by keeping the connection open. */

import { SluiceError } from "../../core/contract/errors.js";
import type { GateRequest } from "../../core/contract/internal-api.js";
import type { AdmitContext } from "../context.js";
import { hangUpSignal } from "./hang-up.js";
import { fromEnvelope } from "./hold.js";
import { parsePriority, parseTenant } from "./preferences.js";

export interface GatePermit {
  /** How long the request waited for it. */
  readonly queueMs: number;
  /** Gives the permit back. Harmless twice. */
  release(): void;
}

/**
 * Waits no longer than the caller does.
 * @throws QUEUE_FULL, MODEL_NOT_READY, MODEL_START_FAILED, SIDECAR_UNAVAILABLE, INVALID_HEADER
 */
export async function acquireGate(context: AdmitContext): Promise<GatePermit> {
  const signal = hangUpSignal(context);
  const startedAt = performance.now();
  const header = (name: string) => context.req.headers[name] as string | undefined;
  const request: GateRequest = {
    model: context.modelName,
    class: context.rule.class,
    priority: parsePriority(header("x-sluice-priority")),
    tenant: parseTenant(header("x-sluice-tenant")),
    requestId: context.requestId,
  };
  const over = new AbortController();
  try {
    const answer = await context.sidecar.call({
      method: "POST",
      origin: "http://sidecar",
      path: "/internal/gate",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(request),
      headersTimeoutMs: 0,
      bodyTimeoutMs: 0,
      signal: AbortSignal.any([signal, over.signal]),
    });
    if (answer.status !== 200) throw fromEnvelope(answer, await answer.body.text());
    // A sidecar that dies ends the body; the request it let through goes on.
    answer.body.on("error", () => undefined).resume();
    return { queueMs: performance.now() - startedAt, release: () => over.abort() };
  } catch (cause) {
    signal.throwIfAborted();
    if (cause instanceof SluiceError) throw cause;
    throw new SluiceError(
      "SIDECAR_UNAVAILABLE",
      "this route waits for a permit, and the sidecar that gives it is away",
      { cause, retryAfterMs: 2_000 },
    );
  }
}
