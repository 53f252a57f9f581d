/** From a heavy request to a durable task: first its body, then its row, and only then a promise. */
import type { Config } from "../../config/schema.js";
import { SluiceError } from "../../core/contract/errors.js";
import type { Submission } from "../../core/contract/tasks.js";
import { failpoint } from "../../core/runtime/failpoints.js";
import type { ResultCache } from "../cache/result-cache.js";
import { priorityWithin, queueBoundsOf } from "../settings.js";
import { refuseWhenFull } from "./queue-bounds.js";
import type { BlobStore, NewTask, StoredBody, TaskRow, TaskStore } from "./store.js";

export interface SubmitDeps {
  readonly store: TaskStore;
  readonly blobs: BlobStore;
  readonly config: () => Config;
  /** Told that a task is on its way to the disk, so that its permit can be asked for meanwhile. */
  readonly anticipate: (model: string, className: string, priority: number, arriving: Promise<unknown>) => void;
  /** Default: nothing is answered from earlier answers. */
  readonly cache?: ResultCache;
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
  const config = deps.config();
  const { proxy, scheduler, callbacks } = config;
  // A full queue refuses before gigabytes have been written. A repeated request still meets its older task.
  if (submission.idempotencyKey === null) refuseWhenFull(deps.store.countWaiting(), 0, queueBoundsOf(config));
  const placed = planPlace(submission, scheduler.classes, deps.now());
  const limits = { maxBytes: proxy.max_body_size, idleTimeoutMs: proxy.timeouts.body };
  const payload = await deps.blobs.write("payload", untilCut(body), limits);
  try {
    const task = newTask(submission, placed, payload, submission.callback ?? callbacks.url);
    if (deps.cache?.isOn === true) return await submitCached({ ...deps, cache: deps.cache }, submission, task);
    return await submitWaiting(deps, task);
  } catch (caught) {
    await discard(deps, payload);
    throw caught;
  }
}

type Submitting = Pick<SubmitDeps, "store" | "blobs" | "anticipate">;

async function submitWaiting(deps: Submitting, task: NewTask): Promise<{ task: TaskRow; replayed: boolean }> {
  const arriving = deps.store.insert(task);
  deps.anticipate(task.model, task.class, task.priority, arriving);
  const inserted = await arriving;
  failpoint("submit.before_answer");
  if (inserted.replayed) await discard(deps, task.payload);
  return inserted;
}

/** With the result cache: answered from an earlier answer, or queued and, once answered, kept for those that come after. */
async function submitCached(
  deps: Submitting & { cache: ResultCache },
  submission: Submission,
  task: NewTask,
): Promise<{ task: TaskRow; replayed: boolean }> {
  const ticket = await deps.cache.ask(submission, task.payload);
  if (ticket === null || ticket.hit === null) {
    const inserted = await submitWaiting(deps, task);
    if (ticket !== null && !inserted.replayed) deps.cache.expect(inserted.task.uuid, ticket);
    return inserted;
  }
  const { body } = ticket.hit;
  try {
    const inserted = await deps.cache.insert(task, ticket.hit);
    // The request's body was wanted for its hash alone.
    await discard(deps, task.payload);
    if (inserted.replayed) await discard(deps, body);
    return inserted;
  } catch (caught) {
    await discard(deps, body);
    throw caught;
  }
}

interface Place {
  readonly priority: number;
  readonly createdAtMs: number;
  readonly deadlineAtMs: number | null;
}

/** Where in the queue it goes. Pure. @throws BAD_REQUEST for a class that is not configured */
function planPlace(submission: Submission, classes: Config["scheduler"]["classes"], nowMs: number): Place {
  const settings = Object.hasOwn(classes, submission.class) ? classes[submission.class] : undefined;
  if (settings === undefined) throw new SluiceError("BAD_REQUEST", `there is no class '${submission.class}'`);
  const deadlineMs = submission.deadlineMs ?? settings.deadline;
  return {
    priority: priorityWithin(settings, submission.priority),
    createdAtMs: nowMs,
    deadlineAtMs: deadlineMs === null ? null : nowMs + deadlineMs,
  };
}

function newTask(submission: Submission, place: Place, payload: StoredBody, callback: string | null): NewTask {
  const { priority: _own, deadlineMs: _span, ...rest } = submission;
  return { ...rest, ...place, callback, payload };
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
async function discard({ store, blobs }: Submitting, payload: StoredBody): Promise<void> {
  if (payload.kind !== "blob") return;
  try {
    if (!store.namesBlob(payload.key)) await blobs.remove(payload.key);
  } catch {
    // As above.
  }
}
