/** Asks a model server whether it is ready. */
import type { Clock } from "../../core/runtime/clock.js";
import { below, type HttpClient } from "../../core/runtime/http.js";
import type { CheckOutcome } from "./reachability.js";

/** Bound on one check, all its requests together. */
export const CHECK_TIMEOUT_MS = 5_000;

/**
 * `GET /healthz`, then `GET /readyz`; where either answers 404 (the vLLM and SGLang flavours have neither) `GET /info`, for which
 * 401 is good enough. Never throws.
 * @param url base URL without trailing slash
 */
export async function checkReadiness(
  http: HttpClient,
  url: string,
  clock: Clock,
  signal: AbortSignal,
): Promise<CheckOutcome> {
  const bound = new AbortController();
  const end = () => bound.abort(new Error("the check is over"));
  const cancel = clock.after(CHECK_TIMEOUT_MS, end);
  signal.addEventListener("abort", end, { once: true });
  try {
    return await check(http, url, bound.signal);
  } catch (caught) {
    return isRefusal(caught) ? "refused" : "silent";
  } finally {
    cancel();
    signal.removeEventListener("abort", end);
  }
}

async function check(http: HttpClient, url: string, signal: AbortSignal): Promise<CheckOutcome> {
  for (const path of ["/healthz", "/readyz"]) {
    const status = await statusOf(http, url, path, signal);
    if (status === 404) return isInfoGood(await statusOf(http, url, "/info", signal)) ? "ready" : "unready";
    if (!isGood(status)) return "unready";
  }
  return "ready";
}

async function statusOf(http: HttpClient, url: string, path: string, signal: AbortSignal): Promise<number> {
  const answer = await http.call({
    method: "GET",
    ...below(url, path),
    headersTimeoutMs: CHECK_TIMEOUT_MS,
    bodyTimeoutMs: CHECK_TIMEOUT_MS,
    signal,
  });
  // A body that does not end says no less than its status; it is read so that the connection can be used again.
  await answer.body.dump().catch(() => undefined);
  return answer.status;
}

function isGood(status: number): boolean {
  return status >= 200 && status < 300;
}

function isInfoGood(status: number): boolean {
  return isGood(status) || status === 401;
}

/** A name with several addresses fails with all their errors together. */
function isRefusal(caught: unknown): boolean {
  if (caught instanceof AggregateError) return caught.errors.length > 0 && caught.errors.every(isRefusal);
  return (caught as { code?: unknown } | null)?.code === "ECONNREFUSED";
}
