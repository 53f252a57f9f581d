/** How V8 collects where big buffers pass by. */
import { getHeapStatistics, setFlagsFromString } from "node:v8";

/**
 * V8 counts the memory of buffers against the growth it allows its heap between two full collections, and to a small heap it allows 8 MB:
 * four messages. A process that holds little and passes much on then marks its whole heap a hundred times for each GiB (measured: half of
 * its processor time). With this much, buffers die young.
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
