import type { ServerResponse } from "node:http";
import { SluiceError } from "../../core/contract/errors.js";
import type { AdmitContext } from "../context.js";

/** One per answer, however many steps ask: each would be one more listener on it. */
const known = new WeakMap<ServerResponse, AbortSignal>();

/** Aborts when the caller closes its connection before it had its whole answer. */
export function hangUpSignal({ res }: Pick<AdmitContext, "res">): AbortSignal {
  const before = known.get(res);
  if (before !== undefined) return before;
  const controller = new AbortController();
  if (res.destroyed) controller.abort(new SluiceError("CLIENT_GONE", "the caller hung up"));
  res.once("close", () => {
    if (!res.writableFinished) controller.abort(new SluiceError("CLIENT_GONE", "the caller hung up"));
  });
  known.set(res, controller.signal);
  return controller.signal;
}
