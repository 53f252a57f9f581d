/** From a heavy request to a durable task: first its body, then its row, and only then a promise. */
import type { Config } from "../../config/schema.js";
import { SluiceError } from "../../core/contract/errors.js";
import type { Submission } from "../../core/contract/tasks.js";
import { failpoint } from "../../core/runtime/failpoints.js";
import { refuseWhenFull } from "./sqlite-writes.js";
import type { BlobStore, NewTask, StoredBody, TaskRow, TaskStore } from "./store.js";

export interface SubmitDeps {
  readonly store: TaskStore;
  readonly blobs: BlobStore;
  readonly config: () => Config;
  /** Told that a task is on its way to the disk, so that its permit can be asked for meanwhile. */
  readonly anticipate: (model: string, className: string, priority: number, arriving: Promise<unknown>) => void;
  readonly now: () => number;
}

/**
 * @param body as it arrives; it stays the caller's to end
 * @throws BODY_CUT_SHORT, BODY_TOO_LARGE, BODY_TIMEOUT, QUEUE_FULL, IDEMPOTENCY_KEY_REUSED, DISK_FULL, STORE_FAILED; nothing is kept then
 */
export async function submitTask(
  deps: SubmitDeps,
  submission: Submission,
  body: AsyncIterable<Buffer>,
): Promise<{ task: TaskRow; replayed: boolean }> {
  const { proxy, scheduler } = deps.config();
  // A full queue refuses before gigabytes have been written. A repeated request still meets its older task.
  if (submission.idempotencyKey === null) {
    const bounds = { maxTasks: scheduler.queue.max_tasks, maxBytes: scheduler.queue.max_bytes };
    refuseWhenFull(deps.store.countWaiting(), 0, bounds);
  }
  const placed = planPlace(submission, scheduler.classes, deps.now());
  const limits = { maxBytes: proxy.max_body_size, idleTimeoutMs: proxy.timeouts.body };
  const payload = await deps.blobs.write("payload", untilCut(body), limits);
  try {
    const arriving = deps.store.insert(newTask(submission, placed, payload));
    deps.anticipate(submission.model, submission.class, placed.priority, arriving);
    const inserted = await arriving;
    failpoint("submit.before_answer");
    if (inserted.replayed) await discard(deps, payload);
    return inserted;
  } catch (caught) {
    await discard(deps, payload);
    throw caught;
  }
}

interface Place {
  readonly priority: number;
  readonly createdAtMs: number;
  readonly deadlineAtMs: number | null;
}

/** Where in the queue it goes. Pure. @throws BAD_REQUEST for a class that is not configured */
export function planPlace(submission: Submission, classes: Config["scheduler"]["classes"], nowMs: number): Place {
  const settings = Object.hasOwn(classes, submission.class) ? classes[submission.class] : undefined;
  if (settings === undefined) throw new SluiceError("BAD_REQUEST", `there is no class '${submission.class}'`);
  const [lowest, highest] = settings.bounds;
  const wanted = submission.priority ?? settings.priority;
  const deadlineMs = submission.deadlineMs ?? settings.deadline;
  return {
    priority: submission.priority === null ? wanted : Math.min(Math.max(wanted, lowest), highest),
    createdAtMs: nowMs,
    deadlineAtMs: deadlineMs === null ? null : nowMs + deadlineMs,
  };
}

function newTask(submission: Submission, place: Place, payload: StoredBody): NewTask {
  const { priority: _own, deadlineMs: _span, ...rest } = submission;
  return { ...rest, ...place, payload };
}

/** A request's stream that breaks off says so in its own words; ours name what it means. */
async function* untilCut(body: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void> {
  const iterator = body[Symbol.asyncIterator]();
  for (;;) {
    const next = await iterator.next().catch((cause: unknown) => {
      throw new SluiceError("BODY_CUT_SHORT", "the request's body ended before it was complete", { cause });
    });
    if (next.done === true) return;
    yield next.value;
  }
}

/**
 * The refusal matters more than the file: what cannot be removed now goes with the next start's sweep. A fault after the commit must not
 * take the body of a task that is there.
 */
async function discard({ store, blobs }: SubmitDeps, payload: StoredBody): Promise<void> {
  if (payload.kind !== "blob") return;
  try {
    if (!store.namesBlob(payload.key)) await blobs.remove(payload.key);
  } catch {
    // As above.
  }
}
