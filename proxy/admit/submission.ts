/** From a heavy request to what the sidecar is told about it. Pure but for the new id. */
import { randomUUID } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { SluiceError } from "../../core/contract/errors.js";
import { fieldsWhere } from "../../core/contract/raw-headers.js";
import { TASK_TYPES, type TaskType } from "../../core/contract/routes.js";
import type { Submission } from "../../core/contract/tasks.js";
import type { AdmitContext } from "../context.js";
import {
  type AnswerPreference,
  parseCallback,
  parseDeadline,
  parseIdempotencyKey,
  parsePrefer,
  parsePriority,
  parseTenant,
} from "./preferences.js";

/**
 * @throws INVALID_PREFER, INVALID_HEADER, TASK_TYPE_UNKNOWN, CONTENT_TYPE_MISSING, CONTENT_TYPE_WRONG: before the body is read
 */
export function describeSubmission(context: AdmitContext): { submission: Submission; preference: AnswerPreference } {
  const { req } = context;
  const header = (name: string) => single(req, name);
  const type = context.cmgTask === null ? null : taskType(context.cmgTask, header("content-type"));
  const preference: AnswerPreference =
    type === null ? parsePrefer(header("prefer")) : { mode: "task", waitMs: 0, applied: null };
  const task = context.cmgTask ?? context.path.slice(1);
  const tracked = TASK_TYPES[task]?.tracked === true;
  const submission: Submission = {
    uuid: randomUUID(),
    model: context.modelName,
    task,
    method: type?.method ?? req.method ?? "POST",
    path: type === null ? context.rawPath : `${type.path}${context.query}`,
    headers: withoutIdempotencyKey(context.headers),
    class: context.rule.class,
    priority: parsePriority(header("x-sluice-priority")),
    tenant: parseTenant(header("x-sluice-tenant")),
    deadlineMs: parseDeadline(header("x-sluice-deadline")),
    mode: preference.mode,
    requestId: context.requestId,
    source: `ip=${context.peer}; ua=${header("user-agent") ?? "N/A"}`,
    idempotencyKey: parseIdempotencyKey(header("idempotency-key")),
    callback: parseCallback(header("sluice-callback"), context.config),
    forceTrackingId: tracked && (type !== null || !/[?&]tracking_id=/.test(context.query)),
  };
  return { submission, preference };
}

function single(req: IncomingMessage, name: string): string | undefined {
  const value = req.headers[name];
  return Array.isArray(value) ? value.join(", ") : value;
}

/** CMG's checks, in its order (reference cmg-api 1.8), before anything is stored or started. */
function taskType(task: string, contentType: string | undefined): TaskType {
  if (contentType === undefined) {
    const item = { type: "missing", loc: ["header", "content-type"], msg: "Field required", input: null };
    throw new SluiceError("CONTENT_TYPE_MISSING", "the request has no Content-Type header", { detail: [item] });
  }
  const type = Object.hasOwn(TASK_TYPES, task) ? TASK_TYPES[task]! : null;
  if (type === null) {
    const known = Object.keys(TASK_TYPES).join(", ");
    throw new SluiceError("TASK_TYPE_UNKNOWN", `Task '${task}' not found. Supported tasks are: ${known}`);
  }
  const mediaType = contentType.split(";", 1)[0]!.trim().toLowerCase();
  if (mediaType !== type.mediaType && mediaType !== "text/plain") {
    const orText = type.mediaType === "text/plain" ? "" : " (or 'text/plain')";
    throw new SluiceError("CONTENT_TYPE_WRONG", `Task '${task}' takes '${type.mediaType}'${orText}, not what was sent`);
  }
  return type;
}

/** The key is for us; a model server that keeps one too would answer the attempt, not the task. */
function withoutIdempotencyKey(headers: readonly string[]): string[] {
  return fieldsWhere(headers, (name) => name !== "idempotency-key");
}
