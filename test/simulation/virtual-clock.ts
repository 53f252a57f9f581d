/**
 * The time of a simulated world: a heap of events, and nothing that waits for real. Whatever an event set off is done before the next one.
 */

/** Wall clock of the world when it begins. */
const BEGIN_MS = 1_700_000_000_000;

interface Event {
  readonly atMs: number;
  readonly order: number;
  action: (() => void) | null;
}

export class VirtualClock {
  readonly #heap: Event[] = [];
  #elapsedMs = 0;
  #offsetMs = BEGIN_MS;
  #order = 0;

  now(): number {
    return Math.floor(this.#offsetMs + this.#elapsedMs);
  }

  elapsed(): number {
    return this.#elapsedMs;
  }

  /** Somebody sets the machine's clock. */
  jump(byMs: number): void {
    this.#offsetMs += byMs;
  }

  /** The answer cancels it. */
  after(delayMs: number, action: () => void): () => void {
    const event = { atMs: this.#elapsedMs + Math.max(0, delayMs), order: this.#order++, action };
    push(this.#heap, event);
    return () => {
      (event as Event).action = null;
    };
  }

  /** Runs one event after the other until there is none, the time is up, or it is enough. Call it from {@link inMacrotask}. */
  run(untilMs: number, isEnough: () => boolean): void {
    drainMicrotasks();
    while (this.#heap.length > 0 && this.#heap[0]!.atMs <= untilMs && !isEnough()) {
      const event = pop(this.#heap);
      if (event.action === null) continue;
      this.#elapsedMs = event.atMs;
      event.action();
      drainMicrotasks();
    }
  }
}

function isBefore(one: Event, other: Event): boolean {
  return one.atMs < other.atMs || (one.atMs === other.atMs && one.order < other.order);
}

function push(heap: Event[], event: Event): void {
  let at = heap.length;
  heap.push(event);
  while (at > 0) {
    const parent = (at - 1) >> 1;
    if (!isBefore(event, heap[parent]!)) break;
    heap[at] = heap[parent]!;
    at = parent;
  }
  heap[at] = event;
}

function pop(heap: Event[]): Event {
  const first = heap[0]!;
  const last = heap.pop()!;
  if (heap.length === 0) return first;
  let at = 0;
  for (;;) {
    let child = 2 * at + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++;
    if (!isBefore(heap[child]!, last)) break;
    heap[at] = heap[child]!;
    at = child;
  }
  heap[at] = last;
  return first;
}

/**
 * What Node itself calls between two callbacks: runs ticks and settled promises to their end. A turn of the event loop per event
 * (`setImmediate`) does the same six times slower, and histories would be asynchronous.
 */
const drainMicrotasks = (process as unknown as { _tickCallback: () => void })._tickCallback;

/** Runs something synchronous outside of any promise's reaction, where {@link VirtualClock.run} can settle promises. */
export function inMacrotask<Value>(action: () => Value): Promise<Value> {
  return new Promise((resolve, reject) => {
    setImmediate(() => {
      try {
        resolve(action());
      } catch (cause) {
        reject(cause);
      }
    });
  });
}
