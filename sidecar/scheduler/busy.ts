/**
 * A CMS client that trains the plain way, its line held, sees a busy trainer's 503 at once, as it always has; only a task (or
 * `Prefer: respond-async`) waits its turn. One model trains one run at a time, so the answer is known without asking the server.
 */
import type { Logger } from "../../core/runtime/logger.js";
import { type BlobStore, storeBytes, type TaskAnswer, type TaskRow, type TaskStore } from "../tasks/store.js";
import { isTraining } from "./decide.js";

const WORDS = "Another training or evaluation on this model is still active. Please retry later.";
/** Held trainings of one model answered per call; the rest are by the next. */
const AT_MOST = 100;

export interface BusyOptions {
  readonly store: TaskStore;
  readonly blobs: BlobStore;
  readonly logger: Logger;
  readonly now: () => number;
}

/** Answers the held trainings that wait for a model which has an accepted run. Never throws: who is not answered waits. */
export async function answerBusy(options: BusyOptions, model: string): Promise<void> {
  const { store, now } = options;
  try {
    const active = store.list({ model, status: "running", limit: 1 }).tasks[0];
    if (active === undefined) return;
    const waiting = store.list({ model, status: "pending", limit: AT_MOST }).tasks;
    for (const task of waiting.filter((each) => each.mode === "held" && isTraining(each.task))) {
      const answer = await busyAnswer(options.blobs, active);
      const errorMessage = `the model server is busy with run ${active.trackingId ?? "of another training"}`;
      await store.failWaiting(task.uuid, {
        status: "failed",
        reason: "rejected",
        errorMessage,
        answer,
        finishedAtMs: now(),
      });
    }
  } catch (cause) {
    options.logger.warn({ model, err: cause }, "held trainings could not be told that the trainer is busy");
  }
}

/** CMS's own body: the ids are those of the run that is active (reference cms-api 2.2). */
async function busyAnswer(blobs: BlobStore, active: TaskRow): Promise<TaskAnswer> {
  const accepted = active.answer?.body;
  const ids = accepted?.kind === "inline" ? readIds(accepted.bytes) : {};
  const bytes = Buffer.from(
    JSON.stringify({ message: WORDS, experiment_id: ids.experiment_id ?? "", run_id: active.trackingId ?? "" }),
  );
  const body = await storeBytes(blobs, bytes);
  const headers = ["Content-Type", "application/json", "Content-Length", String(bytes.length)];
  return { status: 503, headers, body, upstreamMs: 0 };
}

function readIds(bytes: Buffer): { experiment_id?: unknown } {
  try {
    return (JSON.parse(bytes.toString("utf8")) ?? {}) as { experiment_id?: unknown };
  } catch {
    return {};
  }
}
