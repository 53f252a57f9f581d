/** Tasks, bodies and outcomes to test with. */
import { createHash, randomUUID } from "node:crypto";
import type { NewTask, Outcome, StoredBody, TaskAnswer } from "../../sidecar/tasks/store.js";

export function inlineBody(text: string): StoredBody & { kind: "inline" } {
  const bytes = Buffer.from(text);
  return { kind: "inline", bytes, sha256: createHash("sha256").update(bytes).digest("hex") };
}

export function sampleTask(change: Partial<NewTask> = {}): NewTask {
  return {
    uuid: randomUUID(),
    model: "gazetteer",
    task: "process",
    method: "POST",
    path: "/process?x=1",
    headers: ["Content-Type", "text/plain", "X-Odd", "caf\u00e9"],
    class: "interactive",
    priority: 2,
    tenant: null,
    mode: "task",
    source: "ip=127.0.0.1; ua=test",
    requestId: "request-1",
    forceTrackingId: false,
    createdAtMs: 1_000,
    deadlineAtMs: null,
    idempotencyKey: null,
    callback: null,
    payload: inlineBody("Seen on 3 March 2021 by Dr Khan"),
    ...change,
  };
}

export function sampleAnswer(text = '{"annotations":[]}'): TaskAnswer {
  return { status: 200, headers: ["Content-Type", "application/json"], body: inlineBody(text), upstreamMs: 12 };
}

export function succeeded(answer: TaskAnswer | null = sampleAnswer()): Outcome {
  return { status: "succeeded", reason: null, errorMessage: null, answer, finishedAtMs: 9_000 };
}

export function failed(reason: Outcome["reason"] = "upstream_error", answer: TaskAnswer | null = null): Outcome {
  return { status: "failed", reason, errorMessage: "it did not work", answer, finishedAtMs: 9_000 };
}
