/**
 * Holds a caller's line until its task has an answer, and replays that answer: the model server's own status, headers and body.
 * The line survives a restart of the sidecar: the task is durable, so the question is simply asked again.
 */
import { pipeline } from "node:stream/promises";
import { asSluiceError, SluiceError } from "../../core/contract/errors.js";
import { ANSWER_HEADER, decodeInternal, type StoredAnswer } from "../../core/contract/internal-api.js";
import { sleep } from "../../core/runtime/clock.js";
import type { HttpAnswer, HttpClient } from "../../core/runtime/http.js";
import type { AdmitContext } from "../context.js";
import { serverTiming } from "../forward/headers.js";

/** One question to the sidecar lasts at most this long; then it is asked anew. */
const POLL_MS = 30_000;
/** How long a sidecar may be away while a caller waits for a task that is known to be stored. */
const SIDECAR_AWAY_MS = 60_000;
const RETRY_PAUSE_MS = 200;

export type Held =
  | { readonly kind: "answer"; readonly answer: StoredAnswer; readonly body: HttpAnswer["body"] }
  | { readonly kind: "waiting" }
  | { readonly kind: "unknown" };

/**
 * Waits for a task's answer.
 * @param waitMs bound on the wait, null for none
 * @returns `waiting` when the bound passed first, `unknown` when no such task is stored
 * @throws SIDECAR_UNAVAILABLE when it stays away too long; the signal's reason when the caller hung up
 */
export async function awaitAnswer(
  sidecar: HttpClient,
  uuid: string,
  waitMs: number | null,
  signal: AbortSignal,
): Promise<Held> {
  const untilMs = waitMs === null ? Number.POSITIVE_INFINITY : performance.now() + waitMs;
  let awaySinceMs: number | null = null;
  for (;;) {
    const leftMs = Math.max(0, Math.min(untilMs - performance.now(), POLL_MS));
    try {
      const held = await askOnce(sidecar, uuid, Math.round(leftMs), signal);
      if (held.kind !== "waiting" || performance.now() >= untilMs) return held;
      awaySinceMs = null;
    } catch (cause) {
      signal.throwIfAborted();
      if (cause instanceof SluiceError) throw cause;
      awaySinceMs ??= performance.now();
      if (performance.now() - awaySinceMs > SIDECAR_AWAY_MS) {
        throw new SluiceError("SIDECAR_UNAVAILABLE", `the task ${uuid} is stored, but the sidecar is away`, {
          cause,
          retryAfterMs: 5_000,
        });
      }
      await sleep(RETRY_PAUSE_MS, signal);
    }
  }
}

async function askOnce(sidecar: HttpClient, uuid: string, waitMs: number, signal: AbortSignal): Promise<Held> {
  const answer = await sidecar.call({
    method: "GET",
    origin: "http://sidecar",
    path: `/internal/tasks/${uuid}/answer?wait_ms=${waitMs}`,
    headersTimeoutMs: waitMs + 10_000,
    bodyTimeoutMs: 60_000,
    signal,
  });
  const encoded = answer.headers[ANSWER_HEADER];
  if (answer.status === 200 && typeof encoded === "string") {
    return { kind: "answer", answer: decodeInternal<StoredAnswer>(encoded), body: answer.body };
  }
  if (answer.status === 204) {
    await answer.body.dump();
    return { kind: "waiting" };
  }
  const text = await answer.body.text();
  if (answer.status === 404) return { kind: "unknown" };
  throw fromEnvelope(answer, text);
}

/** An error the sidecar answered with, as our own again. */
export function fromEnvelope({ status, headers }: Pick<HttpAnswer, "status" | "headers">, text: string): Error {
  try {
    const { error, detail } = JSON.parse(text) as {
      error: { code: never; message: string; hint?: string };
      detail: unknown;
    };
    const retryAfter = headers["retry-after"];
    return new SluiceError(error.code, error.message, {
      ...(error.hint === undefined ? {} : { hint: error.hint }),
      ...(typeof retryAfter === "string" ? { retryAfterMs: Number(retryAfter) * 1_000 } : {}),
      ...(typeof detail === "string" ? {} : { detail }),
    });
  } catch (cause) {
    return asSluiceError(new Error(`the sidecar answered ${status}`, { cause }));
  }
}

/** Replays a stored answer to the caller. */
export async function replay(
  context: AdmitContext,
  uuid: string,
  held: Held & { kind: "answer" },
  signal: AbortSignal,
): Promise<void> {
  const { res } = context;
  const { answer, body } = held;
  const gatewayMs = performance.now() - context.receivedAtMs - answer.queueMs - answer.upstreamMs;
  const headers = [
    ...answer.headers,
    "Sluice-Task-Id",
    uuid,
    "X-Request-Id",
    context.requestId,
    "Server-Timing",
    serverTiming(answer.queueMs, answer.upstreamMs, Math.max(0, gatewayMs)),
  ];
  res.writeHead(answer.status, headers);
  await pipeline(body, res, { signal });
}
