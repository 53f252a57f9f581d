/** What proxies and operators' tools ask on the Unix socket (`core/contract/internal-api.ts`). Thin: reads, calls, answers. */
import type { FastifyInstance } from "fastify";
import { SluiceError } from "../../core/contract/errors.js";
import {
  ANSWER_HEADER,
  decodeInternal,
  encodeInternal,
  type GateRequest,
  SUBMISSION_HEADER,
} from "../../core/contract/internal-api.js";
import { FAILURE_REASONS, type Submission, type Submitted, TASK_STATUSES } from "../../core/contract/tasks.js";
import { METRICS_CONTENT_TYPE } from "../../core/runtime/metrics.js";
import { hasAnswer, storedAnswer, taskDetail } from "../tasks/answers.js";
import type { TaskFilter } from "../tasks/store.js";
import { submitTask } from "../tasks/submit.js";
import type { TaskWatch } from "../tasks/wait.js";
import type { AppDeps } from "./deps.js";
import { readJson } from "./json-body.js";
import { Query, readWaitMs } from "./query.js";
import { goneSignal } from "./replies.js";
import { cancelWaiting } from "./tasks.js";

const MAX_GATE_BYTES = 64 * 1024;
const DEFAULT_PAGE = 50;

type OfTask = { Params: { uuid: string } };

export function registerInternalRoutes(app: FastifyInstance, deps: AppDeps, watch: TaskWatch): void {
  registerSubmission(app, deps);
  registerAnswer(app, deps, watch);
  registerHangUp(app, deps);
  registerGate(app, deps);
  registerLookups(app, deps);
}

function registerSubmission(app: FastifyInstance, deps: AppDeps): void {
  const submitting = { ...deps, now: deps.clock.now };
  app.post("/internal/tasks", async (request, reply) => {
    const submission = readSubmission(request.headers[SUBMISSION_HEADER]);
    const { task, replayed } = await submitTask(submitting, submission, request.raw);
    deps.wake(task);
    const submitted: Submitted = { uuid: task.uuid, status: task.status, replayed };
    return reply.code(201).header("sluice-task-id", task.uuid).send(submitted);
  });
}

function readSubmission(header: string | string[] | undefined): Submission {
  try {
    return decodeInternal<Submission>(String(header));
  } catch (cause) {
    throw new SluiceError("BAD_REQUEST", `the header ${SUBMISSION_HEADER} is missing or cannot be read`, { cause });
  }
}

function registerAnswer(app: FastifyInstance, deps: AppDeps, watch: TaskWatch): void {
  app.get<OfTask>("/internal/tasks/:uuid/answer", async (request, reply) => {
    const { uuid } = request.params;
    const waitMs = readWaitMs(request.query);
    const task = await watch.until(hasAnswer, { uuid, waitMs, signal: goneSignal(reply) });
    if (task === null) throw new SluiceError("TASK_NOT_FOUND", `Task '${uuid}' not found`);
    void reply.header("sluice-task-id", uuid);
    if (!hasAnswer(task)) return reply.code(204).send();
    const { answer, ownBody } = storedAnswer(task);
    const body = ownBody ?? (await deps.blobs.open(task.answer!.body, { verify: true }));
    return reply
      .header(ANSWER_HEADER, encodeInternal(answer))
      .header("content-type", "application/octet-stream")
      .send(body);
  });
}

function registerHangUp(app: FastifyInstance, deps: AppDeps): void {
  app.post<OfTask>("/internal/tasks/:uuid/hang-up", async (request, reply) => {
    const task = deps.store.get(request.params.uuid);
    const isHeld = task?.mode === "held" || task?.mode === "wait";
    // Whoever sent an Idempotency-Key means to come back for the answer.
    const isUnwanted = isHeld && task.status === "pending" && task.idempotencyKey === null;
    if (isUnwanted && deps.config().tasks.cancel_on_hang_up) {
      await cancelWaiting(task, deps, "The caller hung up before it started.");
    }
    return reply.code(204).send();
  });
}

function registerGate(app: FastifyInstance, deps: AppDeps): void {
  app.post("/internal/gate", async (request, reply) => {
    const asked = await readJson<GateRequest>(request.raw, MAX_GATE_BYTES);
    const signal = goneSignal(reply);
    const release = await deps.gate.acquire(asked, signal);
    if (signal.aborted) {
      release();
      throw signal.reason;
    }
    // From here on the open connection is the permit.
    reply.hijack();
    reply.raw.once("close", release);
    reply.raw.writeHead(200, { "content-type": "text/plain", "x-request-id": request.id });
    reply.raw.flushHeaders();
  });
}

function registerLookups(app: FastifyInstance, deps: AppDeps): void {
  app.get("/internal/metrics", async (_request, reply) => {
    return reply.header("content-type", METRICS_CONTENT_TYPE).send(await deps.metrics.text());
  });
  app.get("/internal/tasks", async (request) => {
    const { tasks, next } = deps.store.list(readFilter(request.query));
    return { tasks: tasks.map(taskDetail), next };
  });
}

/** @throws INVALID_PARAMETER naming every parameter that is wrong */
function readFilter(given: unknown): TaskFilter {
  const query = new Query(given);
  const asked = {
    limit: query.integer("limit", { min: 1, max: 1_000 }) ?? DEFAULT_PAGE,
    model: query.text("model"),
    status: query.oneOf("status", TASK_STATUSES),
    class: query.text("class"),
    tenant: query.text("tenant"),
    task: query.text("task"),
    reason: query.oneOf("reason", FAILURE_REASONS),
    sinceMs: query.time("since"),
    untilMs: query.time("until"),
    after: query.text("after"),
  };
  query.done();
  return Object.fromEntries(Object.entries(asked).filter(([, value]) => value !== null)) as unknown as TaskFilter;
}
