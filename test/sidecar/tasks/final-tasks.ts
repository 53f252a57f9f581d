/** Tasks that have ended, to let retention at. */
import type { BlobStore, NewTask, TaskStore } from "../../../sidecar/tasks/store.js";
import { sampleAnswer, sampleTask } from "../../contract/task-samples.js";

export interface EndedTask {
  readonly uuid: string;
  /** The result's file, null where it stands in the database. */
  readonly key: string | null;
}

/** @param resultBytes above 64 KiB the result is a file */
export async function endedTask(
  { store, blobs }: { store: TaskStore; blobs: BlobStore },
  finishedAtMs: number,
  options: { resultBytes?: number; task?: Partial<NewTask> } = {},
): Promise<EndedTask> {
  const body = await blobs.write("result", bytes(options.resultBytes ?? 100), { maxBytes: 1e9, idleTimeoutMs: 5_000 });
  const task = sampleTask({ model: `m-${finishedAtMs}-${Math.random()}`, ...options.task });
  await store.insert(task);
  await store.claim(task.model, [task.class], 0);
  const answer = { ...sampleAnswer(), body };
  await store.finish(task.uuid, 1, { status: "succeeded", reason: null, errorMessage: null, answer, finishedAtMs });
  return { uuid: task.uuid, key: body.kind === "blob" ? body.key : null };
}

async function* bytes(size: number): AsyncGenerator<Buffer> {
  yield Buffer.alloc(size, "result ");
}
