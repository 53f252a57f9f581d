/** The words of the proxy's own refusals. Pure. */
import { SluiceError } from "../core/contract/errors.js";
import { unavailableMessage } from "../core/contract/models.js";
import { type Failure, failureError } from "./forward/failures.js";
import type { RouteView } from "./route-table.js";
import type { ModelTarget } from "./target.js";

const SHOWN_NAME_CHARACTERS = 64;

export function methodNotAllowed(message: string): SluiceError {
  return new SluiceError("METHOD_NOT_ALLOWED", message);
}

export function unavailable(name: string, view: RouteView): SluiceError {
  return new SluiceError("MODEL_UNAVAILABLE", unavailableMessage(shown(name), view.snapshot.models));
}

export function unknownModel(target: ModelTarget, view: RouteView): SluiceError {
  if (view.snapshot.version === 0) {
    const words = `the sidecar, which knows whether there is a model '${shown(target.name)}', has not been heard of yet`;
    return new SluiceError("SIDECAR_UNAVAILABLE", words, { retryAfterMs: 2_000 });
  }
  if (target.path === "/info") return unavailable(target.name, view);
  const count = view.snapshot.models.length;
  const others = count === 1 ? "1 there is" : `${count} there are`;
  return new SluiceError("MODEL_UNKNOWN", `there is no model '${shown(target.name)}' among the ${others}`);
}

/** A caller's own word, fit for a message. */
function shown(name: string): string {
  return name.slice(0, SHOWN_NAME_CHARACTERS).replace(/[^\x20-\x7e]/g, "?");
}

export function sidecarError(failure: Failure): SluiceError {
  if (failure.kind !== "refused" && failure.kind !== "connect-timeout" && failure.kind !== "cut") {
    return failureError(failure, "the sidecar");
  }
  return new SluiceError("SIDECAR_UNAVAILABLE", "the part of Sluice that answers this is not running", {
    cause: failure.cause,
    retryAfterMs: 2_000,
  });
}

/** The system's word for what happened; never a text that came from outside. */
export function causeCode(error: SluiceError): string | undefined {
  const { code } = (error.cause ?? {}) as { code?: unknown };
  return typeof code === "string" ? code : undefined;
}
