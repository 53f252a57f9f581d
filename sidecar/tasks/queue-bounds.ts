/** How much may wait, by count and by bytes. Pure. */
import { SluiceError } from "../../core/contract/errors.js";

export interface QueueBounds {
  readonly maxTasks: number;
  readonly maxBytes: number;
}

/**
 * @param sizeBytes of the body that comes to what waits; 0 where it is not known yet
 * @throws QUEUE_FULL naming the bound
 */
export function refuseWhenFull(
  waiting: { tasks: number; bytes: number },
  sizeBytes: number,
  { maxTasks, maxBytes }: QueueBounds,
): void {
  const full =
    waiting.tasks >= maxTasks
      ? `${maxTasks} tasks wait already (scheduler.queue.max_tasks)`
      : waiting.bytes + sizeBytes > maxBytes
        ? `the waiting tasks would hold more than ${maxBytes} bytes (scheduler.queue.max_bytes)`
        : null;
  if (full !== null) throw new SluiceError("QUEUE_FULL", full, { retryAfterMs: 30_000 });
}
