import { SluiceError } from "../../core/contract/errors.js";
import type { AdmitContext } from "../context.js";

/** Aborts when the caller closes its connection before it had its whole answer. */
export function hangUpSignal({ res }: AdmitContext): AbortSignal {
  const controller = new AbortController();
  if (res.destroyed) controller.abort(new SluiceError("CLIENT_GONE", "the caller hung up"));
  res.once("close", () => {
    if (!res.writableFinished) controller.abort(new SluiceError("CLIENT_GONE", "the caller hung up"));
  });
  return controller.signal;
}
