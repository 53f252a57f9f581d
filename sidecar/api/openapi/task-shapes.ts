/** The shapes of tasks, for OpenAPI; the compiler holds them against the contract. */
import { z } from "zod";
import {
  type CallbackView,
  FAILURE_REASONS,
  TASK_STATUSES,
  type TaskDetail,
  type TaskEvent,
  type TaskWhy,
  WAIT_CODES,
} from "../../../core/contract/tasks.js";

const uuid = z.string().meta({ format: "uuid" });
const status = z.enum(TASK_STATUSES);
const reason = z.enum(FAILURE_REASONS).nullable();
const time = z.string().meta({ format: "date-time" });
const text = z.string().nullable();
const position = z.int().nullable().describe("Tasks that go before it, while it waits");
const etaSeconds = z.number().nullable().describe("Seconds until it starts, about; null while nothing is known");

export const taskAccepted = z.object({ uuid, status: z.string() });
export const taskState = z.object({ uuid, status });

export const taskCancelled = z.object({ uuid, status, reason, message: z.string() });

const callback = z.object({
  state: z.enum(["pending", "delivered", "failed"]),
  attempts: z.int(),
}) satisfies z.ZodType<CallbackView>;

export const taskDetail = z.object({
  uuid,
  status,
  model: z.string(),
  type: z.string(),
  source: z.string(),
  created_at: time,
  started_at: time.nullable(),
  finished_at: time.nullable(),
  result: text.describe("Name of the stored result"),
  error_message: text,
  tracking_id: text.describe("MLflow run of a training"),
  reason,
  class: z.string(),
  priority: z.int(),
  tenant: text,
  attempts: z.int(),
  deadline_at: time.nullable(),
  result_status: z.int().nullable(),
  result_bytes: z.int().nullable(),
  result_sha256: text,
  request_id: z.string(),
  position: position.exactOptional(),
  eta_seconds: etaSeconds.exactOptional(),
  not_before: time.nullable().exactOptional(),
  callback: callback.nullable().exactOptional(),
  attempt_history: z
    .array(
      z.object({
        attempt: z.int(),
        started_at: time.nullable(),
        ended_at: time.nullable(),
        outcome: text,
        note: text,
      }),
    )
    .exactOptional(),
}) satisfies z.ZodType<TaskDetail>;

export const taskAnswer = z.union([taskState, taskDetail]);

export const taskEvent = z.object({
  uuid,
  status,
  position,
  eta_seconds: etaSeconds,
  reason,
}) satisfies z.ZodType<TaskEvent>;

export const taskWhy = z.object({
  uuid,
  status,
  waiting_for: z.array(
    z.object({ what: z.string(), code: z.enum(WAIT_CODES), until: time.nullable(), message: z.string() }),
  ),
  position,
  eta_seconds: etaSeconds,
  summary: z.string(),
}) satisfies z.ZodType<TaskWhy>;
