/**
 * Trainers that are busy. A CMS client that trains the plain way, its line held, sees a busy trainer's 503 at once, as it always has;
 * only a task (or `Prefer: respond-async`) waits its turn. One model trains one run at a time, so the answer is known without asking
 * the server: from the run of ours that is active, or from what the server said when it was asked last.
 */
import { isFinal } from "../../core/contract/tasks.js";
import type { Clock } from "../../core/runtime/clock.js";
import type { Logger } from "../../core/runtime/logger.js";
import { type BlobStore, storeBytes, type TaskAnswer, type TaskRow, type TaskStore } from "../tasks/store.js";
import { isTraining } from "./decide.js";
import { failedOutcome, type RunIds, readRunIds } from "./outcome.js";
import type { AttemptObserver } from "./settle.js";

const WORDS = "Another training or evaluation on this model is still active. Please retry later.";
/** Held trainings of one model answered per call; the rest are by the next. */
const AT_MOST = 100;

export interface BusyOptions {
  readonly store: TaskStore;
  readonly blobs: BlobStore;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly observer: Pick<AttemptObserver, "completed">;
}

export interface BusyTrainers {
  /** A model server said that it is busy with this run; nothing is sent to it for so long. */
  note(model: string, ids: RunIds, forMs: number): void;
  /** Answers the held trainings that wait for a busy model. Never rejects: who is not answered waits. */
  answerHeld(model: string): Promise<void>;
}

export function createBusyTrainers({ store, blobs, logger, clock, observer }: BusyOptions): BusyTrainers {
  const noted = new Map<string, { ids: RunIds; untilMs: number }>();

  function activeRun(model: string): RunIds | null {
    const active = store.list({ model, status: "running", limit: 1 }).tasks[0];
    if (active !== undefined) return idsOf(active);
    const last = noted.get(model);
    if (last === undefined || last.untilMs > clock.elapsed()) return last?.ids ?? null;
    noted.delete(model);
    return null;
  }

  async function answer(task: TaskRow, ids: RunIds): Promise<void> {
    const words = `the model server is busy with run ${ids.runId === "" ? "of another training" : ids.runId}`;
    const outcome = failedOutcome("rejected", words, await busyAnswer(blobs, ids), clock.now());
    if (await store.failWaiting(task.uuid, outcome)) observer.completed(task, outcome);
  }

  return {
    note(model, ids, forMs) {
      noted.set(model, { ids, untilMs: clock.elapsed() + forMs });
    },
    async answerHeld(model) {
      try {
        const ids = activeRun(model);
        if (ids === null) return;
        const waiting = store.list({ model, status: "pending", limit: AT_MOST }).tasks;
        for (const task of waiting) if (task.mode === "held" && isTraining(task.task)) await answer(task, ids);
      } catch (cause) {
        logger.warn({ model, err: cause }, "held trainings could not be told that the trainer is busy");
      }
    },
  };
}

function idsOf(task: TaskRow): RunIds {
  const accepted = task.answer === null || isFinal(task.status) ? null : readRunIds(task.answer);
  return { experimentId: accepted?.experimentId ?? "", runId: task.trackingId ?? accepted?.runId ?? "" };
}

/** CMS's own body: the ids are those of the run that is active (reference cms-api 2.2). */
async function busyAnswer(blobs: BlobStore, { experimentId, runId }: RunIds): Promise<TaskAnswer> {
  const bytes = Buffer.from(JSON.stringify({ message: WORDS, experiment_id: experimentId, run_id: runId }));
  const headers = ["Content-Type", "application/json", "Content-Length", String(bytes.length)];
  return { status: 503, headers, body: await storeBytes(blobs, bytes), upstreamMs: 0 };
}
