/** What a callback says of a task's end: never note text, never a result. Pure. */
import { wireTime } from "../../core/contract/tasks.js";
import type { DueCallback } from "../tasks/upkeep-store.js";

export function callbackBody(callback: DueCallback): string {
  return JSON.stringify({
    uuid: callback.uuid,
    status: callback.status,
    reason: callback.reason,
    model: callback.model,
    type: callback.type,
    result_status: callback.resultStatus,
    finished_at: wireTime(callback.finishedAtMs),
    location: `/tasks/${callback.uuid}`,
  });
}
