/** How V8 collects where big buffers pass by. */
import { getHeapStatistics, setFlagsFromString } from "node:v8";

/**
 * With a heap of 10 MB the memory of messages that pass by starts a full collection every 15 MB or so (measured: some sixty for each GiB,
 * and a third of the process's time). With room to grow by this much there is none, and buffers die young.
 */
const STEP_BYTES = 64 * 1024 * 1024;
/** A heap that is large already may double, as V8 allows a busy one anyway. */
const MIN_GROWTH_PERCENT = 100;
const MAX_GROWTH_PERCENT = 800;

/** For the whole process, from its next full collection on. */
export function expectBigBuffers(): void {
  setFlagsFromString(`--heap-growing-percent=${growthPercent(getHeapStatistics().used_heap_size)}`);
}

/** @returns how much a heap of so many bytes may grow */
export function growthPercent(heapBytes: number): number {
  return Math.min(MAX_GROWTH_PERCENT, Math.max(MIN_GROWTH_PERCENT, Math.ceil((100 * STEP_BYTES) / heapBytes)));
}
