/** Sends one callback. Redirects are answers like any other: they are not followed. */
import type { Clock } from "../../core/runtime/clock.js";
import type { HttpClient } from "../../core/runtime/http.js";
import { within } from "../../core/runtime/within.js";
import type { DeliveryResult } from "./retry.js";

/** From connecting to the answer's end. */
const TIMEOUT_MS = 10_000;

export interface PostOptions {
  readonly http: HttpClient;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** Never rejects, but for the signal's reason when that aborts. */
export async function postCallback(
  url: string,
  { headers, body }: { headers: Record<string, string>; body: string },
  { http, clock, signal }: PostOptions,
): Promise<DeliveryResult> {
  try {
    const { origin, pathname, search } = new URL(url);
    return await within(clock, TIMEOUT_MS, signal, async (either) => {
      const where = { origin, path: pathname + search };
      const answer = await http.call({ method: "POST", ...where, headers, body, signal: either });
      // The status is the answer. What follows is let run out within its limits, for the connection's sake, or cut.
      await answer.body.dump().catch(() => undefined);
      return { kind: "status", status: answer.status };
    });
  } catch (caught) {
    if (signal.aborted) throw signal.reason;
    const { code } = caught as { code?: unknown };
    return { kind: "failure", code: typeof code === "string" ? code : "FAILED" };
  }
}
