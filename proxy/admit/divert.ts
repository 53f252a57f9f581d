/**
 * The life of a heavy request in the proxy: read what the caller wants, stream the body to the sidecar, and answer as asked once
 * the task is durable: hold the line, hold it for a while, or answer at once with the task's id.
 */
import type { IncomingMessage } from "node:http";
import { asSluiceError, SluiceError } from "../../core/contract/errors.js";
import { encodeInternal, SUBMISSION_HEADER } from "../../core/contract/internal-api.js";
import type { Submission, Submitted } from "../../core/contract/tasks.js";
import type { HttpClient } from "../../core/runtime/http.js";
import type { AdmitContext } from "../context.js";
import { arrivedBody, ClientBody } from "../forward/request-body.js";
import { hangUpSignal } from "./hang-up.js";
import { awaitAnswer, fromEnvelope, replay } from "./hold.js";
import type { AnswerPreference } from "./preferences.js";
import { describeSubmission } from "./submission.js";

/** @throws SluiceError for the caller; nothing was promised then */
export async function divertTask(context: AdmitContext): Promise<void> {
  const { sidecar } = context;
  const { submission, preference } = describeSubmission(context);
  const submitted = await submit(context, submission);
  if (preference.mode === "task") return answerSubmitted(context, submitted);
  if (preference.mode === "async") return answerAccepted(context, submitted, preference);
  const hungUp = hangUpSignal(context);
  try {
    const held = await awaitAnswer(sidecar, submitted.uuid, preference.waitMs, hungUp);
    if (held.kind === "answer") return await replay(context, submitted.uuid, held, hungUp);
    if (held.kind === "unknown") throw new SluiceError("TASK_NOT_FOUND", `Task '${submitted.uuid}' not found`);
    answerAccepted(context, submitted, preference);
  } catch (error) {
    if (hungUp.aborted) await tellHangUp(sidecar, submitted.uuid);
    throw error;
  }
}

async function submit(context: AdmitContext, submission: Submission): Promise<Submitted> {
  const { req, sidecar } = context;
  const length = req.headers["content-length"];
  context.startBody();
  const whole = length === undefined ? null : arrivedBody(req, Number(length));
  // A body that is here already needs nobody to watch its sender.
  const signal = whole === null ? hangUpSignal(context) : undefined;
  try {
    const answer = await sidecar.call({
      method: "POST",
      origin: "http://sidecar",
      path: "/internal/tasks",
      headers: {
        [SUBMISSION_HEADER]: encodeInternal(submission),
        "x-request-id": context.requestId,
        ...(length === undefined ? {} : { "content-length": length }),
      },
      body: whole ?? streamedBody(req),
      // The sidecar watches the body itself and answers when it stalls.
      headersTimeoutMs: 0,
      ...(signal === undefined ? {} : { signal }),
    });
    const text = await answer.body.text();
    if (answer.status === 201) return JSON.parse(text) as Submitted;
    throw fromEnvelope(answer, text);
  } catch (cause) {
    signal?.throwIfAborted();
    if (cause instanceof SluiceError) throw cause;
    if (!req.complete || wasNeverReached(cause)) throw sidecarAway(cause);
    return await askWhetherStored(sidecar, submission.uuid, signal ?? hangUpSignal(context), cause);
  }
}

/** The body as it comes. The sidecar counts it, bounds it and answers 413 or 408 itself. */
function streamedBody(req: IncomingMessage): ClientBody {
  return new ClientBody(req, { maxBytes: Number.POSITIVE_INFINITY, moved: () => {}, tooLarge: () => {} });
}

/** The sidecar died after it had the whole body: the task may be durable all the same. It is back within seconds, so it is asked. */
async function askWhetherStored(
  sidecar: HttpClient,
  uuid: string,
  signal: AbortSignal,
  cause: unknown,
): Promise<Submitted> {
  const held = await awaitAnswer(sidecar, uuid, 0, signal).catch((away: unknown) => {
    if (!(away instanceof SluiceError) || away.code !== "SIDECAR_UNAVAILABLE") throw away;
    const words = `the sidecar went away while it stored the task ${uuid}; GET /tasks/${uuid} tells, once it is back`;
    throw new SluiceError("SIDECAR_UNAVAILABLE", words, { cause, retryAfterMs: 5_000 });
  });
  if (held.kind === "unknown") throw sidecarAway(cause);
  if (held.kind === "answer") await held.body.dump();
  return { uuid, status: "pending", replayed: false };
}

/** No connection, so nothing was sent and nothing can be stored. */
const UNREACHED = new Set(["ENOENT", "ECONNREFUSED", "EAGAIN", "UND_ERR_CONNECT_TIMEOUT"]);

function wasNeverReached(cause: unknown): boolean {
  return UNREACHED.has(String((cause as { code?: unknown } | null)?.code));
}

function sidecarAway(cause: unknown): SluiceError {
  const error = asSluiceError(cause);
  if (error.code !== "INTERNAL") return error;
  return new SluiceError("SIDECAR_UNAVAILABLE", "heavy work cannot be taken right now; nothing was stored", {
    cause,
    retryAfterMs: 2_000,
  });
}

async function tellHangUp(sidecar: HttpClient, uuid: string): Promise<void> {
  try {
    const answer = await sidecar.call({
      method: "POST",
      origin: "http://sidecar",
      path: `/internal/tasks/${uuid}/hang-up`,
      headersTimeoutMs: 5_000,
    });
    await answer.body.dump();
  } catch {
    // The task then simply runs: nobody is waiting for it, and nothing is lost.
  }
}

/** CMG's answer to a submitted task. */
function answerSubmitted(context: AdmitContext, { uuid }: Submitted): void {
  sendJson(context, 200, { uuid, status: "Task submitted successfully" }, ["Sluice-Task-Id", uuid]);
}

function answerAccepted(context: AdmitContext, { uuid, status }: Submitted, preference: AnswerPreference): void {
  const location = `/tasks/${uuid}`;
  const headers = ["Sluice-Task-Id", uuid, "Location", location];
  if (preference.applied !== null) headers.push("Preference-Applied", preference.applied);
  sendJson(context, 202, { uuid, status, location }, headers);
}

function sendJson({ res, requestId }: AdmitContext, status: number, value: unknown, headers: string[]): void {
  const body = Buffer.from(JSON.stringify(value), "utf8");
  res.writeHead(status, [
    "Content-Type",
    "application/json",
    "Content-Length",
    String(body.length),
    "X-Request-Id",
    requestId,
    ...headers,
  ]);
  res.end(body);
}
